"""A dense layer that somebody wrote, its weight (inputs, units) as GPT-2's, is cut along its units as a stock one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from d2l_jax.weights.leaf import rows_joined, rows_of
from parity.match import load_by_map, load_map, map_of, save_map
from parity.match.dense import axis_of_units
from parity.match.torch_layers import record
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)


class Conv1D(torch.nn.Module):
    def __init__(self, units, inputs):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.randn(units))
        self.weight = torch.nn.Parameter(torch.randn(inputs, units))

    def forward(self, x):
        y = torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight)
        return y.view(*x.shape[:-1], -1)


class TorchAttention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn, self.c_proj = Conv1D(12, 4), Conv1D(4, 4)

    def forward(self, x):
        q, k, v = self.c_attn(x).split(4, -1)
        return self.c_proj((q @ k.mT).softmax(-1) @ v)


class Attention(nnx.Module):
    def __init__(self):
        self.query, self.key, self.value, self.out = (nnx.Linear(4, 4, rngs=nnx.Rngs(n)) for n in range(4))

    def __call__(self, x):
        scores = self.query(x) @ self.key(x).swapaxes(-1, -2)
        return self.out(jax.nn.softmax(scores) @ self.value(x))


def test_parts_of_its_units_are_layers_of_flax_and_weights_load_by_the_map(tmp_path):
    twin = TorchAttention()
    found = map_of(NNXModel(Attention()), twin, (X,), (torch.tensor(X),))
    assert found.agrees
    rows = {leaf.path[0]: leaf.rows for leaf in found.leaves if leaf.key == "c_attn.weight"}
    assert rows == {"query": (0, 4, 12, 1), "key": (4, 8, 12, 1), "value": (8, 12, 12, 1)}
    save_map(found.leaves, tmp_path / "map.json")
    assert load_map(tmp_path / "map.json") == found.leaves
    loaded = load_by_map(Attention(), twin.state_dict(), found.leaves)
    np.testing.assert_allclose(loaded(jnp.asarray(X)), twin(torch.tensor(X)).detach(), atol=1e-5)


class Own(torch.nn.Module):
    def __init__(self, act):
        super().__init__()
        self.weight, self.act = torch.nn.Parameter(torch.randn(4, 6)), act

    def forward(self, x):
        return self.act(x, self.weight)


@pytest.mark.parametrize(
    "act, axis",
    [
        (lambda x, w: x @ w, 1),
        (lambda x, w: torch.nn.functional.linear(x, w.detach().T), 1),
        (lambda x, w: 2 * (x @ w), None),
        (lambda x, w: (x @ w).relu(), None),
        (lambda x, w: x, None),
    ],
)
def test_a_layer_is_dense_by_what_it_computes(act, axis):
    recorded = record(Own(act), (torch.tensor(X),))
    assert axis_of_units(recorded.layers[0], recorded.arrays) == axis


@pytest.mark.parametrize("parts", [((0, 4, 12, 1), (4, 8, 12, 1), (8, 12, 12, 1)), ((0, 2, 4, 1), (2, 4, 4, 1))])
def test_rows_along_another_axis_are_joined_again(parts):
    x = np.arange(60).reshape(5, 12)
    assert np.array_equal(rows_of(x, (4, 8, 12, 1)), x[:, 4:8])
    np.testing.assert_array_equal(rows_joined([(rows, rows_of(x, rows)) for rows in reversed(parts)]), x)
