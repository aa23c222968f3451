"""Fine-tuning of a head on features that stay as they are (book, section 14.2)."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn


class FrozenFeatures(nnx.Module):
    """A small convolutional network with `features` and a head `fc`, as the section cuts ResNet-18 (section 14.2).

    Shapes: (batch, height, width, in_channels) -> (batch, num_classes).
    """

    def __init__(self, num_channels: int = 16, num_classes: int = 2, in_channels: int = 3, *, rngs: nnx.Rngs):
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, num_channels, 3, padding=1, rngs=rngs),
            nn.BatchNorm(num_channels),
            nnx.relu,
        )
        self.fc = nn.Linear(num_channels, num_classes, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.fc(jax.numpy.mean(self.features(X), axis=(1, 2)))
