"""A user's own pair without initial values: a function that makes the NNX module, and Linen's parameters."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.errors import InputError
from parity.twin.of_pair import twin_of_pair

X = np.random.default_rng(0).normal(size=(5, 6, 7, 3)).astype(np.float32)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 3)
        self.norm = torch.nn.BatchNorm2d(6)
        self.drop = torch.nn.Dropout(0.3)
        self.fc = torch.nn.Linear(6, 4)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0, 4.0]))

    def forward(self, x):
        return self.fc(self.drop(self.norm(self.conv(x)).mean((2, 3)))) * self.scale


class Ours(nnx.Module):
    def __init__(self, epsilon: float = 1e-5, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(3, 6, (3, 3), padding=0, rngs=rngs)
        self.second = nnx.BatchNorm(6, epsilon=epsilon, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.third = nnx.Linear(6, 4, rngs=rngs)
        self.factors = nnx.BatchStat(jnp.arange(1.0, 5.0))

    def __call__(self, x):
        return self.third(self.drop(self.second(self.first(x)).mean((1, 2)))) * self.factors[...]


def make(epsilon: float = 1e-5) -> Ours:
    return Ours(epsilon, rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_a_function_that_makes_the_module_gives_what_the_module_gives():
    function = parity.check(make, Theirs(), X, steps=2)
    module = parity.check(make(), Theirs(), X, steps=2)
    assert function.rows == module.rows and len(function.rows["float64"]) > 50
    assert function.weights == module.weights and function.skipped == module.skipped
    assert str(function.blame) == str(module.blame) and "biased variance" in str(module.blame)  # as Flax has it


@pytest.mark.slow
def test_a_mistake_in_a_module_that_is_made_is_placed_and_named():
    result = parity.check(partial(make, 1e-4), Theirs(), X, steps=1, tiers=("float64",))
    assert result.blame and (result.blame.layer, result.blame.cause) == ("norm", "biased-variance+eps")


def test_parameters_are_not_drawn_and_what_is_none_keeps_its_value():
    twin = twin_of_pair(make, Theirs(), (X,))
    ours = twin.flax.model
    assert not any(isinstance(x, np.ndarray | jnp.ndarray) for x in _leaves(ours.params))
    assert ours.buffers["factors"].tolist() == [1, 2, 3, 4] and ours.buffers["second"]["var"].tolist() == [1] * 6


@pytest.mark.slow
def test_with_a_map_the_whole_module_is_made():
    first = parity.check(make, Theirs(), X, steps=1, tiers=("float64",))
    weights = first.weights
    twin = twin_of_pair(make, Theirs(), (X,), weights=weights)
    assert all(isinstance(x, jnp.ndarray) for x in _leaves(twin.flax.model.params))
    assert parity.check(make, Theirs(), X, weights=weights, steps=1, tiers=("float64",)).rows == first.rows


def _leaves(tree: dict) -> list:
    return [x for value in tree.values() for x in (_leaves(value) if isinstance(value, dict) else [value])]


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.Conv(6, (3, 3), padding=0)(x)
        x = linen.BatchNorm(use_running_average=not train, epsilon=1e-5, momentum=0.9)(x).mean((1, 2))
        x = linen.Dense(4)(linen.Dropout(0.3, deterministic=not train)(x))
        return x * self.variable("constants", "factors", lambda: jnp.arange(1.0, 5.0)).value


def test_linens_parameters_are_not_drawn_either():
    twin = twin_of_pair(Linen(), Theirs(), (X,))
    ours = twin.flax.model
    assert not any(isinstance(x, jnp.ndarray) for x in _leaves(ours.params))
    assert ours.buffers["constants"]["factors"].tolist() == [1, 2, 3, 4]
    assert ours.buffers["batch_stats"]["BatchNorm_0"]["var"].tolist() == [1] * 6


def test_functions_that_make_no_module_are_refused():
    for none in (Ours, lambda rngs: Ours(rngs=rngs)):
        with pytest.raises(InputError, match="is no module; a module, or a function without arguments that makes one"):
            parity.check(none, Theirs(), X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="compares a Flax module, NNX or Linen, with PyTorch's"):
        parity.check(lambda: 3, Theirs(), X)  # type: ignore[arg-type]
