"""A small Flax model and its PyTorch twin with one layer of each kind, for planting bugs."""

from functools import partial

import jax
import numpy as np
import torch
from flax import nnx

from d2l_jax import losses, nn, optim

SIZE = (8, 5)  # a stride of 2 pads unevenly where the size is even, so one size is
INPUTS = np.asarray(np.random.default_rng(1).normal(size=(5, *SIZE, 3)) + 0.3, np.float32)
TRAINING = dict(loss=losses.cross_entropy, optimizer=partial(optim.SGD, lr=0.1, momentum=0.9), outputs="scores")


class Small(nnx.Module):
    """Convolutions with padding and stride, batch norm, pools, flatten, a square dense layer, dropout."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False, rngs=rngs)
        self.bn = nn.BatchNorm(6)
        self.down = nn.Conv2d(6, 4, 3, stride=2, padding=1, rngs=rngs)
        self.pool = nn.AvgPool2d(2)
        self.square = nn.Linear(8, 8, rngs=rngs)
        self.drop = nnx.Dropout(0.25, rngs=rngs)
        self.norm = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.out = nn.Linear(8, 9, rngs=rngs)
        self.flatten = nn.flatten
        self.activation = nnx.relu

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.activation(self.bn(self.conv(x)))
        x = self.flatten(self.pool(self.down(x)))
        return self.out(self.norm(self.drop(self.activation(self.square(x)))))


class SmallTorch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = torch.nn.BatchNorm2d(6)
        self.down = torch.nn.Conv2d(6, 4, 3, stride=2, padding=1)
        self.square = torch.nn.Linear(8, 8)
        self.norm = torch.nn.LayerNorm(8)
        self.out = torch.nn.Linear(8, 9)
        self.drop = torch.nn.Dropout(0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        x = torch.nn.functional.avg_pool2d(self.down(x), 2).flatten(1)
        return self.out(self.norm(self.drop(torch.relu(self.square(x)))))


def small() -> Small:
    return Small(nnx.Rngs(0))
