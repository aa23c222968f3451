"""Shared tensors beside arrays that slopes alone tell: the map has them under each of their names."""

import jax
import numpy as np
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

IDS = np.array([[0, 3, 5], [6, 1, 2], [4, 4, 0]], np.int32)


class TorchTied(torch.nn.Module):
    """An encoder's and a decoder's table are one."""

    def __init__(self):
        super().__init__()
        self.shared = torch.nn.Embedding(7, 5)
        self.encoder, self.decoder = torch.nn.Module(), torch.nn.Module()
        self.encoder.table = self.decoder.table = self.shared
        self.first, self.second = (torch.nn.Parameter(torch.randn(5)) for _ in range(2))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(5, 5, bias=False) for _ in range(2))

    def forward(self, ids):
        x = self.encoder.table(ids)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x * self.first + self.second + self.decoder.table(ids)


class Tied(nnx.Module):
    """Two vectors have each other's names, so that the first guess is wrong."""

    def __init__(self):
        self.table = nnx.Embed(7, 5, rngs=nnx.Rngs(0))
        self.first, self.second = nnx.Param(jax.numpy.ones(5)), nnx.Param(jax.numpy.zeros(5))
        self.kernels = nnx.Param(jax.random.normal(jax.random.key(0), (5, 2, 5)))

    def __call__(self, ids):
        x = self.table(ids)
        for number in range(2):
            x = jax.numpy.tanh(x @ self.kernels[:, number])
        return x * self.second[...] + self.first[...] + self.table(ids)


def test_a_table_has_all_its_names_in_a_map_that_slopes_told():
    torch.manual_seed(0)
    theirs = TorchTied()
    found = map_of(NNXModel(Tied()), theirs, (IDS,), (torch.tensor(IDS),))
    assert found.agrees
    assert {leaf.key for leaf in found.leaves} == {*theirs.state_dict()}
    tables = {leaf.path for leaf in found.leaves if "table" in leaf.key or "shared" in leaf.key}
    assert tables == {("table", "embedding")}
