"""DenseNet-121 (Huang et al. 2017): each dense layer reads the outputs of all before it."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from d2l_jax import nn

GROWTH = 32
STAGES = (6, 12, 24, 16)


class DenseLayer(nnx.Module):
    """A dense layer: norm, ReLU and a 1x1 convolution to 4 * GROWTH channels; norm, ReLU and a 3x3 one to GROWTH."""

    def __init__(self, inputs: int, *, rngs: nnx.Rngs):
        self.narrow_norm = nn.BatchNorm(inputs)
        self.narrow = nnx.Conv(inputs, 4 * GROWTH, (1, 1), use_bias=False, rngs=rngs)
        self.grow_norm = nn.BatchNorm(4 * GROWTH)
        self.grow = nnx.Conv(4 * GROWTH, GROWTH, (3, 3), padding=1, use_bias=False, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        y = self.narrow(jax.nn.relu(self.narrow_norm(x)))
        y = self.grow(jax.nn.relu(self.grow_norm(y)))
        return jnp.concatenate((x, y), -1)


class Halve(nnx.Module):
    """A transition that halves channels, height and width."""

    def __init__(self, inputs: int, *, rngs: nnx.Rngs):
        self.norm = nn.BatchNorm(inputs)
        self.mix = nnx.Conv(inputs, inputs // 2, (1, 1), use_bias=False, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return nnx.avg_pool(self.mix(jax.nn.relu(self.norm(x))), (2, 2), strides=(2, 2))


class DenseNet121(nnx.Module):
    """DenseNet-121, from images (batch, height, width, 3) to scores (batch, classes)."""

    def __init__(self, num_classes: int = 1000, *, rngs: nnx.Rngs):
        self.stem = nnx.Conv(3, 64, (7, 7), strides=2, padding=3, use_bias=False, rngs=rngs)
        self.stem_norm = nn.BatchNorm(64)
        stages = []
        width = 64
        for number, repetitions in enumerate(STAGES):
            if number:
                stages.append(Halve(width, rngs=rngs))
                width //= 2
            for _ in range(repetitions):
                stages.append(DenseLayer(width, rngs=rngs))
                width += GROWTH
        self.stages = nnx.List(stages)
        self.last_norm = nn.BatchNorm(width)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = jax.nn.relu(self.stem_norm(self.stem(x)))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage in self.stages:
            x = stage(x)
        return self.head(jax.nn.relu(self.last_norm(x)).mean((1, 2)))
