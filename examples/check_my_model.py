"""Prove a model of your own: the same weights in PyTorch and in Flax, and every tensor compared."""

import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import losses


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.dense = nnx.Linear(5, 7, rngs=rngs)
        self.norm = nnx.LayerNorm(7, rngs=rngs)
        self.out = nnx.Linear(7, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.gelu(self.norm(self.dense(x))))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(5, 7)
        self.norm = torch.nn.LayerNorm(7)
        self.out = torch.nn.Linear(7, 3)

    def forward(self, x):
        return self.out(torch.nn.functional.gelu(self.norm(self.dense(x))))


x = np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32)
result = parity.check(Net(nnx.Rngs(0)), TorchNet(), x, outputs="scores", loss=losses.cross_entropy)
print(result.status)  # fail: Flax's layer norm has another epsilon, and its GELU is an approximation
for row in [row for row in result.rows["float64"] if not row.passed][:3]:
    print(row.phase, row.name, f"gap {row.gap:.1e}, threshold {row.threshold:.1e}")
