"""ResNet-18 (He et al. 2016) as Flax users write it; `parity.match` finds the weight map to torchvision's."""

import jax
from flax import nnx
from jax import Array

from d2l_jax import nn


class Block(nnx.Module):
    """A residual block: two 3x3 convolutions and a shortcut, a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(inputs, width, (3, 3), strides=stride, padding=1, use_bias=False, rngs=rngs)
        self.first_norm = nn.BatchNorm(width)
        self.second = nnx.Conv(width, width, (3, 3), padding=1, use_bias=False, rngs=rngs)
        self.second_norm = nn.BatchNorm(width)
        self.short = nnx.data(None)
        if stride != 1 or inputs != width:
            self.short = nnx.Conv(inputs, width, (1, 1), strides=stride, padding=0, use_bias=False, rngs=rngs)
            self.short_norm = nn.BatchNorm(width)

    def __call__(self, x: Array) -> Array:
        shortcut = x if self.short is None else self.short_norm(self.short(x))
        x = jax.nn.relu(self.first_norm(self.first(x)))
        return jax.nn.relu(self.second_norm(self.second(x)) + shortcut)


class ResNet18(nnx.Module):
    """ResNet-18, from images (batch, height, width, 3) to scores (batch, classes)."""

    def __init__(self, num_classes: int = 1000, *, rngs: nnx.Rngs):
        self.stem = nnx.Conv(3, 64, (7, 7), strides=2, padding=3, use_bias=False, rngs=rngs)
        self.stem_norm = nn.BatchNorm(64)
        stages = []
        inputs = 64
        for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            stages += [Block(inputs, width, stride, rngs=rngs), Block(width, width, 1, rngs=rngs)]
            inputs = width
        self.stages = nnx.List(stages)
        self.head = nnx.Linear(512, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = jax.nn.relu(self.stem_norm(self.stem(x)))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for block in self.stages:
            x = block(x)
        return self.head(x.mean((1, 2)))
