"""Linen's parameters may hold names of their axes, for a mesh of devices: they are compared as plain arrays."""

import jax
import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.match import load_by_map

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
NAMED = linen.with_logical_partitioning(linen.initializers.lecun_normal(), ("embed", "mlp"))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 5)

    def forward(self, x):
        return self.dense(x).tanh()


class Ours(linen.Module):
    slope: float = 1.0

    @linen.compact
    def __call__(self, x):
        return linen.tanh(self.slope * linen.Dense(5, kernel_init=NAMED)(x))


@pytest.mark.parametrize("slope, status", [(1.0, "pass"), (1.1, "fail")])
def test_arrays_with_names_of_their_axes_are_compared(slope, status):
    assert parity.check(Ours(slope), Theirs(), X, steps=1, tiers=("float64",), layers=False).status == status


def test_their_names_are_kept_where_weights_are_loaded():
    ours, theirs = Ours(), Theirs()
    variables = ours.init(jax.random.key(0), X)
    found = parity.check(ours, theirs, X, steps=1, tiers=("float64",), layers=False, variables=variables).weights
    filled = load_by_map(variables, theirs.state_dict(), found)
    assert jax.tree.structure(filled) == jax.tree.structure(variables)
    np.testing.assert_allclose(ours.apply(filled, X), theirs(torch.tensor(X)).detach(), atol=1e-6)
