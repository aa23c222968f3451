"""A tensor that one side alone trains is told by name, beside other mistakes too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.blame.trained import explain_trained, trained_alone

ONE = np.ones(1)


class Table(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("places", torch.ones(1, 4))

    def forward(self, x):
        return x + self.places


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.norm, self.out = Table(), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.norm(self.table(x)))


class OurTable(nnx.Module):
    def __init__(self):
        self.places = nnx.Param(jnp.ones((1, 4)))

    def __call__(self, x):
        return x + self.places[...]


class Ours(nnx.Module):
    def __init__(self, eps: float):
        rngs = nnx.Rngs(0)
        self.table, self.out = OurTable(), nnx.Linear(4, 2, rngs=rngs)
        self.norm = nnx.LayerNorm(4, epsilon=eps, use_fast_variance=False, rngs=rngs)

    def __call__(self, x):
        return self.out(self.norm(self.table(x)))


def test_a_parameter_for_a_buffer_is_told_beside_what_else_is_wrong():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    blame = parity.check(Ours(1e-3), Theirs(), x, steps=1, tiers=("float64",)).blame
    assert blame and (blame.layer, blame.cause) == ("norm", "eps")
    assert [(other.cause, "Flax trains table.places" in other.text) for other in blame.others] == [
        ("trained-alone", True)
    ]


def test_what_follows_in_later_steps_is_no_other_fault():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    blame = parity.check(Ours(1e-5), Theirs(), x, steps=3, tiers=("float64",), layers=False).blame
    assert blame and (blame.cause, tuple(blame.others)) == ("trained-alone", ())


def test_the_reverse_is_told_too():
    both = {Key(1, "gradients", "weight"): ONE}
    alone = trained_alone({**both, Key(1, "gradients", "shift"): ONE}, {**both, Key(1, "buffers", "shift"): ONE})
    assert alone == ([], ["shift"]) and explain_trained(*alone).text.startswith(
        "PyTorch trains shift, which Flax keeps"
    )


def test_control_what_both_train_or_one_side_lacks_is_not_told():
    theirs = {Key(1, "gradients", "weight"): ONE, Key(1, "gradients", "lost"): ONE, Key(1, "buffers", "mean"): ONE}
    ours = {Key(1, "gradients", "weight"): ONE, Key(1, "buffers", "mean"): ONE}
    assert trained_alone(theirs, ours) == ([], [])


class Parts(torch.nn.Module):
    """Has two layers of one input, of which the first is frozen."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)
        self.first.requires_grad_(False)

    def forward(self, x):
        return self.out(self.first(x) * self.second(x))


class Fused(nnx.Module):
    def __init__(self, stops):
        rngs = nnx.Rngs(0)
        self.both, self.out, self.stops = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(3, 2, rngs=rngs), stops

    def __call__(self, x):
        first, second = jnp.split(self.both(x), 2, -1)
        if self.stops == "first":
            first = jax.lax.stop_gradient(first)
        if self.stops == "all":
            first, second = jax.lax.stop_gradient((first, second))
        return self.out(first * second)


@pytest.mark.parametrize("stops", ["", "first", "all"])
def test_a_part_of_a_fused_layer_that_pytorch_alone_has_frozen_is_told(stops):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    result = parity.check(Fused(stops), Parts(), x, steps=1, tiers=("float64",))
    wrong = {row.key.tensor for row in result.rows["float64"] if not row.passed and row.key.phase == "gradients"}
    told = result.blame and "Flax trains first.bias, first.weight, which PyTorch has frozen" in result.blame.text
    parts = {"": "first", "all": "second"}.get(stops)
    assert wrong - {"input"} == ({f"{parts}.weight", f"{parts}.bias"} if parts else set())
    assert bool(told) == (stops == "")
