"""Parts that Flax keeps along an axis of their own are found in any order, with their biases."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from parity.match import load_by_map, map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


class Ours(nnx.Module):
    """A gate, values and a shift along the first axis of one array, or the last of a general dense layer."""

    def __init__(self, first, activation=nnx.silu):
        keys = nnx.Rngs(0)
        self.activation = activation
        if first:
            self.kernel = nnx.Param(jax.random.normal(keys(), (3, 8, 6)))
            self.bias = nnx.Param(jax.random.normal(keys(), (3, 6)))
        else:
            self.general = nnx.LinearGeneral(8, (6, 3), rngs=keys)
        self.first, self.out = first, nnx.Linear(6, 5, rngs=keys)

    def __call__(self, x):
        if self.first:
            gate, value, shift = (x @ self.kernel[n] + self.bias[n] for n in range(3))
        else:
            gate, value, shift = (self.general(x)[..., n] for n in range(3))
        return self.out(self.activation(gate) * value + shift)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fused, self.out = torch.nn.Linear(8, 18), torch.nn.Linear(6, 5)

    def forward(self, x):
        value, shift, gate = self.fused(x).chunk(3, -1)
        return self.out(torch.nn.functional.silu(gate) * value + shift)


@pytest.mark.parametrize("first", [True, False])
def test_parts_along_an_axis_of_their_own_are_found_in_any_order(first):
    ours, theirs = Ours(first), Theirs()
    found = map_of(NNXModel(ours), theirs, (X,), (torch.tensor(X),))
    assert found.agrees
    assert [leaf.rows for leaf in found.leaves if leaf.key == "fused.bias"] == [(0, 6), (6, 12), (12, 18)]
    load_by_map(ours, theirs.state_dict(), found.leaves)
    np.testing.assert_allclose(ours(X), theirs(torch.tensor(X)).detach(), atol=1e-5)


def test_no_order_of_parts_explains_another_activation():
    found = map_of(NNXModel(Ours(True, nnx.tanh)), Theirs(), (X,), (torch.tensor(X),))
    assert not found.agrees
