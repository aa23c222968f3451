"""VGG-11 with batch normalisation (Simonyan and Zisserman 2015), flattened in (height, width, channel) order."""

import jax
from flax import nnx
from jax import Array

from d2l_jax import nn

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG11(nnx.Module):
    """VGG-11, from images (batch, height, width, 3) to scores (batch, classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, *, rngs: nnx.Rngs):
        stages = []
        inputs = 3
        for widths in STAGES:
            layers = []
            for width in widths:
                layers += [nnx.Conv(inputs, width, (3, 3), padding=1, rngs=rngs), nn.BatchNorm(width), jax.nn.relu]
                inputs = width
            stages.append(nnx.Sequential(*layers))
        self.stages = nnx.List(stages)
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.drop = nnx.Dropout(dropout, rngs=rngs)
        self.wide = nnx.Linear(7 * 7 * 512, 4096, rngs=rngs)
        self.wider = nnx.Linear(4096, 4096, rngs=rngs)
        self.head = nnx.Linear(4096, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        for stage in self.stages:
            x = nnx.max_pool(stage(x), (2, 2), strides=(2, 2))
        x = self.pool(x)
        x = self.drop(jax.nn.relu(self.wide(x.reshape(x.shape[0], -1))))
        return self.head(self.drop(jax.nn.relu(self.wider(x))))
