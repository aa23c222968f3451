"""MobileNetV2 (Sandler et al. 2018): inverted residuals with depthwise convolutions."""

import jax
from flax import nnx
from jax import Array

from d2l_jax import nn

# expansion, channels, repetitions, stride of the first
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class Unit(nnx.Module):
    """A convolution without bias, batch normalisation, and a ReLU that ends at 6 if `active`."""

    def __init__(
        self,
        inputs: int,
        width: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
        *,
        rngs: nnx.Rngs,
    ):
        padding = (size - 1) // 2
        window = (size, size)
        self.linear = nnx.Conv(
            inputs, width, window, stride, padding=padding, feature_group_count=groups, use_bias=False, rngs=rngs
        )
        self.norm = nn.BatchNorm(width)
        self.active = active

    def __call__(self, x: Array) -> Array:
        x = self.norm(self.linear(x))
        return jax.nn.relu6(x) if self.active else x


class Inverted(nnx.Module):
    """An inverted residual: expands, filters each channel alone, projects, and adds the input where the shape stays."""

    def __init__(self, inputs: int, width: int, stride: int, expansion: int, *, rngs: nnx.Rngs):
        inner = inputs * expansion
        self.expand = Unit(inputs, inner, 1, rngs=rngs) if expansion > 1 else nnx.data(None)
        self.filter = Unit(inner, inner, 3, stride, groups=inner, rngs=rngs)
        self.project = Unit(inner, width, 1, active=False, rngs=rngs)
        self.residual = stride == 1 and inputs == width

    def __call__(self, x: Array) -> Array:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.filter(y))
        return x + y if self.residual else y


class MobileNetV2(nnx.Module):
    """MobileNetV2, from images (batch, height, width, 3) to scores (batch, classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2, *, rngs: nnx.Rngs):
        self.stem = Unit(3, 32, 3, 2, rngs=rngs)
        stages = []
        inputs = 32
        for expansion, width, repetitions, stride in STAGES:
            for i in range(repetitions):
                stages.append(Inverted(inputs, width, stride if i == 0 else 1, expansion, rngs=rngs))
                inputs = width
        self.stages = nnx.List(stages)
        self.last = Unit(inputs, 1280, 1, rngs=rngs)
        self.drop = nnx.Dropout(dropout, rngs=rngs)
        self.head = nnx.Linear(1280, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = self.stem(x)
        for block in self.stages:
            x = block(x)
        return self.head(self.drop(self.last(x).mean((1, 2))))
