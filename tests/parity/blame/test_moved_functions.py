"""Functions that Flax computes behind a layer and PyTorch before it: told where that explains the model's output."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(6, 5)).astype("f4")


class Net(nnx.Module):
    def __init__(self, between, rngs: nnx.Rngs):
        self.first = nnx.Linear(5, 6, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.last = nnx.Linear(6, 3, rngs=rngs)
        self.between = between

    def __call__(self, x):
        return self.last(self.between(self.drop, self.first(x)))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(5, 6)
        self.drop = torch.nn.Dropout(0.3)
        self.last = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.first(x))))


@pytest.mark.parametrize(
    ("between", "cause"),
    [
        (lambda drop, x: jnp.tanh(drop(x)), "order-exchanged"),
        pytest.param(lambda drop, x: 1.01 * jnp.tanh(drop(x)), "", marks=pytest.mark.slow),  # control
    ],
)
def test_dropout_before_the_activation(between, cause):
    result = parity.check(Net(between, nnx.Rngs(0)), TorchNet(), X, steps=1, tiers=("float64",), layers=False)
    assert result.blame is not None
    assert (result.blame.cause == "order-exchanged") == bool(cause), result.blame
