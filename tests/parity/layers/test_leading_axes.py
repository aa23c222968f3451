"""A layer's result that has an axis of size 1 in front in one framework alone is the same result."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.layout import from_first

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


class Table(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 4)

    def forward(self):
        return torch.tanh(self.fc(torch.ones(1, 5, 2, dtype=self.fc.weight.dtype)))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.out = Table(), torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.out(x * self.table()[0])


class OurTable(nnx.Module):
    def __init__(self):
        self.fc = nnx.Linear(2, 4, rngs=nnx.Rngs(0))

    def __call__(self):
        return jnp.tanh(self.fc(jnp.ones((5, 2))))


class Ours(nnx.Module):
    def __init__(self, mistaken: bool):
        self.table, self.out = OurTable(), nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.mistaken = mistaken

    def __call__(self, x):
        table = self.table()
        return self.out(x * jnp.cosh(table + x**2) if self.mistaken else x * table)


@pytest.mark.slow
@pytest.mark.parametrize("mistaken", [True, False])
def test_it_is_not_blamed_for_a_mistake_behind_it(mistaken):
    result = parity.check(Ours(mistaken), Theirs(), X, steps=1, tiers=("float64",))
    assert result.status == ("fail" if mistaken else "pass")
    assert not result.blame or result.blame.layer != "table", result.blame


def test_axes_in_front_alone_are_left_out():
    assert from_first((1, 1, 5, 1, 4)) == from_first((5, 1, 4)) == (5, 1, 4) and from_first((1, 1)) == ()
    assert from_first((5, 1)) != from_first((5,)), "behind others they change what an array is added to"
