"""Layers that share their weights in PyTorch and have copies of them in Flax, beside others that are given the same."""

import numpy as np
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


class TorchRead(torch.nn.Module):
    """Reads from the inputs what it adds, by one fused kernel."""

    def __init__(self):
        super().__init__()
        self.norm, self.both, self.out = torch.nn.LayerNorm(4), torch.nn.Linear(4, 10), torch.nn.Linear(5, 4)

    def forward(self, x, inputs):
        gate, value = self.both(self.norm(inputs)).chunk(2, -1)
        return x + self.out(torch.tanh(gate) * value)


class TorchReader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        first, shared = TorchRead(), TorchRead()
        self.layers = torch.nn.ModuleList([first, shared, shared])

    def forward(self, x):
        y = x
        for layer in self.layers:
            y = layer(y, x)
        return y


class Read(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs)
        self.value, self.gate, self.out = (nnx.Linear(*size, rngs=rngs) for size in ((4, 5), (4, 5), (5, 4)))

    def __call__(self, x, inputs):
        y = self.norm(inputs)
        return x + self.out(nnx.tanh(self.gate(y)) * self.value(y))


class Reader(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([Read(rngs) for _ in range(3)])

    def __call__(self, x):
        y = x
        for layer in self.layers:
            y = layer(y, x)
        return y


def test_each_copy_has_one_of_the_names():
    torch.manual_seed(0)
    found = map_of(NNXModel(Reader()), TorchReader(), (X,), (torch.tensor(X),))
    assert found.agrees
    assert {(leaf.key.split(".")[1], leaf.path[1]) for leaf in found.leaves} == {("0", 0), ("1", 1), ("2", 2)}
    rows = {leaf.path[1:3]: leaf.rows for leaf in found.leaves if leaf.path[-1] == "kernel"}
    assert all(rows[n, "gate"] == (0, 5) and rows[n, "value"] == (5, 10) for n in range(3))
