"""GoogLeNet (Szegedy et al. 2015) as torchvision has it: batch normalisation, 3x3 in place of 5x5, ceil-mode pools.

For `torchvision.models.googlenet(aux_logits=False, transform_input=False, init_weights=False)`: no auxiliary heads.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from d2l_jax import nn

# 1x1; reduction and width of both 3x3 branches; projection behind the pool
MIXED = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def ceil_pool(x: Array, size: int) -> Array:
    """The largest value of every other window; the last one may reach over the border (`ceil_mode=True`)."""
    over = tuple((0, (size - n) % 2) for n in x.shape[1:3])
    return nnx.max_pool(x, (size, size), strides=(2, 2), padding=over)


class Unit(nnx.Module):
    """A convolution without bias, batch normalisation and ReLU."""

    def __init__(self, inputs: int, width: int, size: int, stride: int = 1, *, rngs: nnx.Rngs):
        self.linear = nnx.Conv(inputs, width, (size, size), stride, padding=size // 2, use_bias=False, rngs=rngs)
        self.norm = nn.BatchNorm(width, eps=1e-3)

    def __call__(self, x: Array) -> Array:
        return jax.nn.relu(self.norm(self.linear(x)))


class Mixed(nnx.Module):
    """An inception block of four parallel branches, of which the pooled one comes first, unlike in torchvision."""

    def __init__(self, inputs: int, widths: tuple[int, ...], *, rngs: nnx.Rngs):
        point, reduce, wide, reduce_more, wider, project = widths
        self.project = Unit(inputs, project, 1, rngs=rngs)
        self.wide = nnx.Sequential(Unit(inputs, reduce, 1, rngs=rngs), Unit(reduce, wide, 3, rngs=rngs))
        self.wider = nnx.Sequential(Unit(inputs, reduce_more, 1, rngs=rngs), Unit(reduce_more, wider, 3, rngs=rngs))
        self.point = Unit(inputs, point, 1, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        pooled = self.project(nnx.max_pool(x, (3, 3), strides=(1, 1), padding=((1, 1), (1, 1))))
        wide = self.wide(x)
        wider = self.wider(x)
        return jnp.concatenate((self.point(x), wide, wider, pooled), -1)


class GoogLeNet(nnx.Module):
    """GoogLeNet, from images (batch, height, width, 3) to scores (batch, classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2, *, rngs: nnx.Rngs):
        self.stem = Unit(3, 64, 7, 2, rngs=rngs)
        self.stem_point = Unit(64, 64, 1, rngs=rngs)
        self.stem_wide = Unit(64, 192, 3, rngs=rngs)
        stages = []
        inputs = 192
        for stage in MIXED:
            blocks = []
            for widths in stage:
                blocks.append(Mixed(inputs, widths, rngs=rngs))
                inputs = widths[0] + widths[2] + widths[4] + widths[5]
            stages.append(nnx.Sequential(*blocks))
        self.stages = nnx.List(stages)
        self.drop = nnx.Dropout(dropout, rngs=rngs)
        self.head = nnx.Linear(inputs, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = ceil_pool(self.stem(x), 3)
        x = ceil_pool(self.stem_wide(self.stem_point(x)), 3)
        low, middle, high = self.stages
        x = high(ceil_pool(middle(ceil_pool(low(x), 3)), 2))
        return self.head(self.drop(x.mean((1, 2))))
