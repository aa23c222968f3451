"""Masks of dropout that people make by hand, of uniform numbers, on one side or on both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity

TABLE = np.random.default_rng(0).normal(size=(5, 3, 6)).astype(np.float32)
KEEP = 0.7


def floored(x, u):
    return x / KEEP * torch.floor(KEEP + u)


def below(x, u):
    return torch.where(u < KEEP, x / KEEP, 0)


def unscaled(x, u):
    return x * torch.floor(KEEP + u)


class TorchPath(torch.nn.Module):
    """A residual branch that is dropped for whole examples, in one of several ways."""

    def __init__(self, way):
        super().__init__()
        self.norm = torch.nn.LayerNorm(6)
        self.linear = torch.nn.Linear(6, 6)
        self.way = way

    def forward(self, x):
        branch = self.linear(self.norm(x))
        if self.training:
            branch = self.way(branch, torch.rand((x.shape[0], 1, 1), dtype=x.dtype))
        return x + branch


class Path(linen.Module):
    """The same with Flax's own dropout, or by hand."""

    by_hand: bool = False
    eps: float = 1e-5

    @linen.compact
    def __call__(self, x, deterministic: bool):
        y = linen.Dense(6, name="linear")(linen.LayerNorm(epsilon=self.eps, name="norm")(x))
        if self.by_hand and not deterministic:
            u = jax.random.uniform(self.make_rng("dropout"), (x.shape[0], 1, 1))
            return x + y / KEEP * jnp.floor(KEEP + u)
        return x + linen.Dropout(1 - KEEP, broadcast_dims=(1, 2))(y, deterministic=deterministic)


def check(ours, way):
    return parity.check(ours, TorchPath(way), TABLE, steps=2, tiers=("float64",))


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("way", [floored, below])
def test_any_way_of_making_the_mask_passes(by_hand, way):
    assert check(Path(by_hand), way).status == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("way", [floored, below])
def test_a_mistake_beside_the_mask_is_named(way):
    blame = check(Path(eps=1e-3), way).blame
    assert blame and (blame.layer, blame.cause) == ("norm", "eps")


@pytest.mark.slow
def test_a_branch_that_is_not_scaled_fails():
    assert check(Path(), unscaled).status == "fail"
