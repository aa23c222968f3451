"""Layers in a list or in a module that is never called are compared on their own, and blamed by name."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError
from parity.proof.checking import Checking

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.ReLU(), torch.nn.LayerNorm(6))

    def forward(self, x):
        return self.body(x)


class Ours(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, eps: float = 1e-5):
        norm = nnx.LayerNorm(6, epsilon=eps, use_fast_variance=False, rngs=rngs)
        self.body = nnx.List([nnx.Linear(6, 6, rngs=rngs), norm])

    def __call__(self, x):
        return self.body[1](nnx.relu(self.body[0](x)))


def layers_of(result: parity.Result) -> set[str]:
    return {row.key.layer for row in result.rows["float64"] if row.key.layer}


@pytest.mark.slow
def test_a_list_at_the_top_of_a_model_is_compared_layer_by_layer():
    result = parity.check(Ours(nnx.Rngs(0)), Theirs(), X, steps=1)
    assert result.status == "pass" and layers_of(result) == {"body.0", "body.2"}


def test_control_a_mistake_in_a_list_is_placed_and_named():
    result = parity.check(Ours(nnx.Rngs(0), eps=1e-3), Theirs(), X, steps=1)
    assert result.blame and result.blame.layer == "body.2" and "eps=0.001" in result.blame.text


@pytest.mark.slow
def test_clipping_that_returns_a_norm_leaves_the_diagnosis_whole():
    def clip(model: torch.nn.Module):
        return torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)

    sgd = optax.sgd(0.1), lambda params: torch.optim.SGD(params, lr=0.1)
    result = parity.check(Ours(nnx.Rngs(0)), Theirs(), X, optimizer=sgd, before_step=clip, steps=1)
    assert result.status == "fail" and result.blame and result.blame.layer == "optimizer"


class Computed(Ours):
    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        self.scale = float(jnp.sqrt(4.0))


@pytest.mark.parametrize("make", ["outside", "computed"])
def test_a_function_whose_module_needs_values_makes_it_whole(make: str):
    rngs = nnx.Rngs(0)
    function = {"outside": lambda: Ours(rngs), "computed": lambda: Computed(nnx.Rngs(0))}[make]
    assert parity.check(function, Theirs(), X, steps=1).status == "pass"


def test_control_a_function_that_makes_no_module_is_refused():
    with pytest.raises(InputError, match="int is none"):
        parity.check(lambda: 3, Theirs(), X)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"memory": float("nan")}, {"memory": 0.0}, {"tiers": "float32"}, {"tiers": ()}])
def test_options_that_mean_nothing_are_refused(wrong: dict):
    with pytest.raises(InputError, match="is right"):
        Checking(**wrong)
