"""Inputs of one number alone, of which no batch tells whether a model looks at them: some of it is altered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
ONES, ZEROS, TRUE = np.ones((4, 1), np.float32), np.zeros((4, 3), np.float32), np.ones((4, 1), bool)
TWOS = np.full((4, 1), 2, np.int32)


class Two(nnx.Module):
    def __init__(self, combined):
        self.combined = combined
        self.dense = nnx.Linear(5, 3, rngs=nnx.Rngs(0))

    def __call__(self, x, beside):
        return self.combined(self.dense(x), beside)


class TorchTwo(torch.nn.Module):
    def __init__(self, combined):
        super().__init__()
        self.combined = combined
        self.dense = torch.nn.Linear(5, 3)

    def forward(self, x, beside):
        return self.combined(self.dense(x), beside)


def product(y, mask):
    return y * mask


def total(y, state):
    return y + state


def alone(y, beside):
    return y


def second(y, state):
    """A state of two numbers, the second of which is left out, or stands in the place of the third."""
    return jnp.concatenate([y[:, :1] + state[:, :1], y[:, 1:2], y[:, 2:] + state[:, 2:]], 1)


@pytest.mark.parametrize(
    ("ours", "theirs", "beside", "text"),
    [
        (alone, product, ONES, "Flax's do not"),
        (lambda y, mask: jnp.where(mask > 0, y, 0), product, ONES, ""),
        (alone, lambda y, mask: y.masked_fill(~mask, 0), TRUE, "Flax's do not"),
        (lambda y, mask: jnp.where(mask, y, 0), lambda y, mask: y.masked_fill(~mask, 0), TRUE, ""),
        (lambda y, mask: jnp.where(mask, y, 0), alone, TRUE, "PyTorch's do not"),
        (alone, total, ZEROS, "Flax's do not"),
        (second, total, ZEROS, "and differ"),
        (total, total, ZEROS, ""),
        (lambda y, bias: jax.nn.softmax(jnp.where(bias < 0, -1e9, y)), lambda y, b: (y + b).softmax(1), ZEROS, ""),
        (alone, lambda y, steps: y / steps * 2, TWOS, "Flax's do not"),
        (lambda y, steps: y / steps, lambda y, steps: y / steps, TWOS, ""),
    ],
)
def test_both_sides_look_at_an_input_of_one_number(ours, theirs, beside, text):
    result = parity.check(Two(ours), TorchTwo(theirs), (X, beside), steps=1, layers=False, tiers=("float64",))
    assert result.status == ("fail" if text else "pass"), result.blame
    assert not text or result.blame.cause == "input-ignored" and text in result.blame.text
