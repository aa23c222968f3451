"""Parameters that PyTorch's model has frozen and whose gradients Flax's stops: layers on their own, and momenta."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.compare.idle_slots import without_idle_slots

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x):
        return x * self.weight


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.out = Scaled(), torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.scale(x)))


class OurScale(nnx.Module):
    def __init__(self, stops: bool):
        self.weight, self.stops = nnx.Param(jnp.ones(4)), stops

    def __call__(self, x):
        return x * (jax.lax.stop_gradient(self.weight[...]) if self.stops else self.weight[...])


class Ours(nnx.Module):
    def __init__(self, stops: bool):
        self.scale, self.out = OurScale(stops), nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.out(nnx.tanh(self.scale(x)))


ADAM = optax.adam(1e-3), lambda parameters: torch.optim.Adam(parameters, lr=1e-3)
MOMENTUM = optax.sgd(0.1, momentum=0.9), lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("stops, optimizer", [(True, ADAM), (False, MOMENTUM)], ids=["stopped", "trained"])
def test_what_is_frozen_on_both_sides_is_no_difference(stops, optimizer):
    result = parity.check(Ours(stops), Theirs(), X, optimizer=optimizer, steps=1, tiers=("float64",), layers=stops)
    wrong = {row.key._replace(slot="") for row in result.rows["float64"] if not row.passed}
    if stops:
        assert result.status == "pass", wrong
        return
    weight = Key(1, "gradients", "scale.weight")  # which Flax trains: its momentum moves, too
    assert wrong >= {weight, weight._replace(phase="update"), weight._replace(phase="optimizer")}
    assert result.blame and "Flax trains scale.weight, which PyTorch has frozen" in result.blame.text


@pytest.mark.parametrize("moment, left", [(0.0, 0), (1e-300, 2)])
def test_slots_of_one_side_alone_are_left_out_where_they_are_zeros(moment, left):
    key = Key(1, "optimizer", "net.weight", slot="exp_avg")
    held = {key: np.array([0.0, moment]), key._replace(slot="step"): np.array(1.0)}
    assert [len(record) for record in without_idle_slots({}, held)] == [0, left]
    assert [len(record) for record in without_idle_slots(held, {})] == [left, 0]
    begun = {key._replace(slot="exp_avg_sq"): np.ones(2)}  # of a parameter that both move, nothing is left out
    assert without_idle_slots(begun, held) == (begun, held)
