"""Modules that get a grid of tokens, or windows, where PyTorch's get a row of them: they are compared on their own."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.layout import joins
from parity.report.coverage import coverage

X = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)


class TorchMLP(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = torch.nn.LayerNorm(4), torch.nn.Linear(4, 7), torch.nn.Linear(7, 4)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class TorchTokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp, self.head = TorchMLP(), torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.mlp(x).mean(1))


class MLP(nnx.Module):
    def __init__(self, rngs, approximate):
        self.norm = nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs)
        self.up, self.down = nnx.Linear(4, 7, rngs=rngs), nnx.Linear(7, 4, rngs=rngs)
        self.approximate = approximate

    def __call__(self, x):
        return x + self.down(nnx.gelu(self.up(self.norm(x)), approximate=self.approximate))


class Grid(nnx.Module):
    """Tokens stand in a grid of 2 x 3."""

    def __init__(self, approximate=False):
        rngs = nnx.Rngs(0)
        self.mlp, self.head = MLP(rngs, approximate), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.mean(self.mlp(x.reshape(-1, 2, 3, 4)), (1, 2)))


def check(model):
    return parity.check(model, TorchTokens(), X, steps=1, tiers=("float64",))


def test_layers_that_are_given_a_grid_are_compared():
    result = check(Grid())
    result.raise_if_failed()
    assert coverage(result).alone == coverage(result).holding == 4


def test_a_mistake_in_a_module_that_is_given_a_grid_is_put_there():
    blame = check(Grid(approximate=True)).blame
    assert blame and (blame.layer, blame.cause) == ("mlp", "gelu-tanh")


@pytest.mark.parametrize(
    "shape, other, one",
    [
        ((3, 64, 16), (3, 8, 8, 16), True),
        ((3, 4, 16, 2, 8), (12, 16, 16), True),
        ((3, 64, 16), (3, 16, 64), False),  # as many axes: others of theirs
        ((3, 64, 16), (3, 4, 16, 16), True),
        ((3, 15, 16), (3, 4, 4, 15), False),
        ((2, 6, 4), (2, 4, 2, 3), False),
    ],
)
def test_axes_are_one_on_the_other_side(shape, other, one):
    assert joins(shape, other) == joins(other, shape) == one
