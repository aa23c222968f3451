"""Buffers as large as weights: no index of positions is a kernel, and none hides that a kernel is split in Flax."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)


class TorchAttention(torch.nn.Module):
    """Attention with a bias for every distance, whose index is a buffer as large as a kernel; a mask is another."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = torch.nn.Linear(4, 12), torch.nn.Linear(4, 4)
        self.table = torch.nn.Parameter(torch.randn(7))
        self.register_buffer("index", torch.arange(4)[:, None] - torch.arange(4) + 3)
        self.register_buffer("mask", torch.ones(4, 4).tril())

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = (q @ k.transpose(-2, -1) / 2 + self.table[self.index]) * self.mask
        return self.out(scores.softmax(-1) @ v)


class Attention(nnx.Module):
    def __init__(self, masked):
        rngs = nnx.Rngs(0)
        self.v, self.k, self.q, self.out = (nnx.Linear(4, 4, rngs=rngs) for _ in range(4))
        self.table = nnx.Param(jnp.zeros(7))
        self.masked = masked

    def __call__(self, x):
        index = np.arange(4)[:, None] - np.arange(4) + 3
        scores = self.q(x) @ self.k(x).swapaxes(-2, -1) / 2 + self.table[...][index]
        scores = scores * np.tri(4) if self.masked else scores
        return self.out(nnx.softmax(scores) @ self.v(x))


class Twice(nnx.Module):
    def __init__(self, masked):
        self.first, self.second = Attention(True), Attention(masked)

    def __call__(self, x):
        return self.second(self.first(x))


def rows_of(masked):
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(TorchAttention(), TorchAttention())
    constants = {"0.index", "0.mask", "1.index", "1.mask"}
    found = map_of(NNXModel(Twice(masked)), theirs, (X,), (torch.tensor(X),), constants)
    return found.agrees, {leaf.path[:2]: leaf.rows for leaf in found.leaves if leaf.path[-1] == "kernel"}


def test_a_kernel_that_flax_splits_is_found_beside_buffers_of_its_parts_size():
    right = {("first", "q"): (0, 4), ("first", "k"): (4, 8), ("first", "v"): (8, 12), ("first", "out"): None}
    right |= {("second", name): rows for (_, name), rows in right.items()}
    assert rows_of(True) == (True, right)
    assert rows_of(False) == (False, right)
