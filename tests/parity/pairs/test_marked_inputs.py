"""Inputs of whole numbers, as masks: no batch mixes them, and their gradients are nobody's; others keep their range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.twin.other_batches import another

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(6, 4)).astype(np.float32)
MASK = np.array([[1, 0, 1, 1, 0, 1]] * 2, np.float32).reshape(6, 2)


def test_another_batch_keeps_what_numbers_are():
    shares = RANDOM.dirichlet(np.ones(3), 6).astype(np.float32)
    table, mask, mixed, ids = another((TABLE, MASK, shares, np.arange(6)), np.random.default_rng(1))
    assert sorted(map(tuple, mask)) == sorted(map(tuple, MASK)) and sorted(ids) == list(range(6))
    assert TABLE.min() <= table.min() < table.max() <= TABLE.max() and not np.isin(table, TABLE).any()
    np.testing.assert_allclose(mixed.sum(1), 1, rtol=1e-6)
    assert mixed.min() >= 0 and not np.isin(mixed, shares).any()


@pytest.mark.parametrize("x", [np.float32(0.5), TABLE[:1]])
def test_another_batch_of_a_single_row_keeps_its_range(x):
    (other,) = another((np.asarray(x),), np.random.default_rng(1))
    assert other.shape == x.shape and x.min() <= other.min() <= other.max() <= x.max()
    assert x.size == 1 or (other != x).any()


class Masked(nnx.Module):
    """Keeps what a mask says is 1 and takes a token for the rest; two columns of mask beside four numbers."""

    def __init__(self):
        self.embed = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
        self.token = nnx.Param(jnp.zeros(2))

    def __call__(self, x, mask):
        return jnp.where(mask == 1, self.embed(x), self.token[...])


class Stopped(Masked):
    """The same by a product, through which no gradient reaches the mask: both of its uses, or one of them alone."""

    def __init__(self, both):
        super().__init__()
        self.both = both

    def __call__(self, x, mask):
        still = jax.lax.stop_gradient(mask)
        return (still if self.both else mask) * self.embed(x) + (1 - still) * self.token[...]


class TorchMasked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(4, 2)
        self.token = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x, mask):
        return mask * self.embed(x) + (1 - mask) * self.token


@pytest.mark.parametrize(
    ("ours", "mask", "note"),
    [
        (Masked(), MASK, "no gradient reaches input.1 in Flax"),
        (Stopped(both=False), MASK, "input.1: whole numbers"),
        (Stopped(both=True), MASK / 2, "no gradient reaches input.1 in Flax"),
        (Stopped(both=False), MASK / 2, ""),
    ],
    ids=["where", "product", "stopped", "control: one stop of two, numbers between"],
)
def test_a_mask_may_be_used_in_either_way(ours, mask, note):
    result = parity.check(ours, TorchMasked(), (TABLE, mask), steps=2, layers=False, tiers=("float64",))
    assert result.status == ("pass" if note else "fail"), result.blame
    assert not note or any(note in line for line in result.notes), result.notes
