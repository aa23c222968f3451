"""Layers that run within their model alone: they are left out with the reason, and the verdict stands."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
SHORT = {"steps": 1, "tiers": ("float64",)}
SWITCH = []


class Switched(nnx.Linear):
    def __call__(self, x):
        if not SWITCH:
            raise RuntimeError("no\nparent")
        return super().__call__(x)


class Ours(nnx.Module):
    def __init__(self, make=nnx.Linear, factor=1.0):
        self.first, self.second = make(3, 5, rngs=nnx.Rngs(0)), nnx.Linear(3, 4, rngs=nnx.Rngs(0))
        self.factor = factor

    def __call__(self, x):
        SWITCH.append(1)
        y = self.second(x) + self.factor * self.first(x).sum()
        SWITCH.clear()
        return y


class TheirSwitched(torch.nn.Linear):
    def forward(self, x):
        if not SWITCH:
            raise RuntimeError("no\nparent")
        return super().forward(x)


class Theirs(torch.nn.Module):
    def __init__(self, make=torch.nn.Linear):
        super().__init__()
        self.first, self.second = make(3, 5), torch.nn.Linear(3, 4)

    def forward(self, x):
        SWITCH.append(1)
        y = self.second(x) + self.first(x).sum()
        SWITCH.clear()
        return y


def layers(result):
    return {row.key.layer for row in result.rows["float64"] if row.key.layer}


@pytest.mark.parametrize(
    "ours, theirs, where",
    [(Ours(Switched), Theirs(), " in Flax"), (Ours(), Theirs(TheirSwitched), "")],
    ids=["Flax", "PyTorch"],
)
def test_a_layer_that_raises_alone_is_left_out_and_the_others_are_compared(ours, theirs, where):
    result = parity.check(ours, theirs, X, **SHORT)
    assert result and layers(result) == {"second"}
    assert result.skipped == {"first": f"it does not run on its own{where}: RuntimeError: no parent"}


def test_control_a_mistake_beside_it_is_seen():
    result = parity.check(Ours(Switched, 1.001), Theirs(), X, **SHORT)
    assert not result and result.blame and "second" in layers(result)


def test_control_without_the_switch_both_are_compared():
    result = parity.check(Ours(), Theirs(), X, **SHORT)
    assert layers(result) == {"first", "second"} and not result.skipped
