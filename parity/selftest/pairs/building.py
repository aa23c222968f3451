"""Short names for what the twins are built of."""

from collections import OrderedDict
from functools import partial

import torch
from flax import nnx

from d2l_jax import nn, optim

T = torch.nn
MOMENTUM = partial(optim.SGD, lr=0.1, momentum=0.9)


def named(**modules: T.Module) -> T.Sequential:
    """A sequence of modules under these names."""
    return T.Sequential(OrderedDict(modules))


def rngs() -> nnx.Rngs:
    """Random numbers of seed 0; the twin replaces the values."""
    return nnx.Rngs(0)


def conv(inputs: int, outputs: int, size: int = 1, **options) -> nn.Conv2d:
    """A convolution of images with a square kernel."""
    return nn.Conv2d(inputs, outputs, size, rngs=rngs(), **options)


def dense(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A dense layer."""
    return nn.Linear(inputs, outputs, bias, rngs=rngs())
