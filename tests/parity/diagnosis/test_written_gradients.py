"""Gradients that PyTorch's model writes by hand."""

import numpy as np
import pytest
import torch
from flax import linen

import parity

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Cube(torch.autograd.Function):
    factor = 3.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, cotangent):
        (x,) = ctx.saved_tensors
        return Cube.factor * x**2 * cotangent


class Cubed(torch.nn.Module):
    def forward(self, x):
        return Cube.apply(x) if self.training else x**3


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.cube, self.last = torch.nn.Linear(6, 4), Cubed(), torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.cube(self.first(x)))


class FlaxCubed(linen.Module):
    power: int = 3

    def __call__(self, x):
        return x**self.power


class Net(linen.Module):
    power: int = 3

    @linen.compact
    def __call__(self, x):
        x = FlaxCubed(self.power, name="cube")(linen.Dense(4, name="first")(x))
        return linen.Dense(3, name="last")(x)


def blamed(power: int = 3):
    return parity.check(Net(power), TorchNet(), X, steps=1, tiers=("float64",)).blame


@pytest.mark.parametrize("factor", [3.0 * (1 + 1e-10), 2.0])
def test_one_that_is_no_derivative_is_named(monkeypatch, factor):
    monkeypatch.setattr(Cube, "factor", factor)
    blame = blamed()
    assert (blame.cause, blame.layer) == ("written-gradient", "cube")
    assert "Cube.backward" in blame.text


def test_control_a_derivative_is_right_and_is_told_of_no_other_mistake():
    assert blamed() is None
    assert blamed(power=5).cause != "written-gradient"
