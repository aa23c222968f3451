"""The weight of a dense layer that PyTorch gives to `F.linear` by itself, with biases put together, is cut too."""

import numpy as np
import pytest
import torch
from flax import nnx
from matching import R, values, verified

from parity.match.functions import tensor_of
from parity.models.nnx_model import NNXModel

F = torch.nn.functional
X = values(3, 5, 6)


class Theirs(torch.nn.Module):
    """Attention whose keys have no bias; then a dense layer of as many units as queries and keys."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = torch.nn.Linear(6, 18, bias=False), torch.nn.Linear(6, 6)
        self.wide, self.down = torch.nn.Linear(6, 12), torch.nn.Linear(12, 6)
        self.q_bias, self.v_bias = torch.nn.Parameter(torch.zeros(6)), torch.nn.Parameter(torch.zeros(6))

    def forward(self, x):
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        q, k, v = F.linear(input=x, weight=self.qkv.weight, bias=bias).chunk(3, -1)
        x = x + self.out(F.softmax(q @ k.mT, -1) @ v)
        return x + self.down(torch.tanh(self.wide(x)))


class Ours(nnx.Module):
    def __init__(self):
        self.query, self.key, self.value = (nnx.Linear(6, 6, use_bias=name != "k", rngs=R) for name in "qkv")
        self.proj, self.first, self.second = (
            nnx.Linear(6, 6, rngs=R),
            nnx.Linear(6, 12, rngs=R),
            nnx.Linear(12, 6, rngs=R),
        )

    def __call__(self, x):
        weights = nnx.softmax(self.query(x) @ self.key(x).mT, axis=-1)
        x = x + self.proj(weights @ self.value(x))
        return x + self.second(nnx.tanh(self.first(x)))


def test_queries_keys_and_values_have_their_rows_and_their_own_biases():
    leaves = verified(NNXModel(Ours()), Theirs(), X, torch.from_numpy(X))
    found = {".".join(leaf.path): (leaf.key, leaf.rows) for leaf in leaves}
    assert found["key.kernel"] == ("qkv.weight", (6, 12)) and found["value.bias"] == ("v_bias", None)


@pytest.mark.parametrize("numbers", [None, np.zeros(2), np.array([1.0, 3.0])])
def test_control_a_bias_that_no_tensor_holds_has_none(numbers):
    assert tensor_of(numbers, {"a": np.array([1.0, 2.0]), "b": np.zeros(2)}) == {}
