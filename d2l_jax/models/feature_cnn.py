"""A small classifier of images whose last hidden layer says what is in them (second edition, DCGAN)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn


class FeatureCNN(nnx.Module):
    """Three times convolution, batch normalisation, ReLU and pooling; the mean over places are the features.

    feature_dim: features of an image; the two blocks before have a quarter and half as many channels
    num_classes: of the head

    Shapes: (batch, height, width, 3) -> (batch, num_classes).
    """

    def __init__(self, feature_dim: int = 128, num_classes: int = 10, in_channels: int = 3, *, rngs: nnx.Rngs):
        sizes = (in_channels, feature_dim // 4, feature_dim // 2, feature_dim)
        self.blocks = nn.Sequential(*(_block(*pair, rngs=rngs) for pair in zip(sizes, sizes[1:])))
        self.head = nn.Linear(feature_dim, num_classes, rngs=rngs)

    def features(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch feature_dim"]:
        """Returns what distances between sets of images are measured on."""
        return self.blocks(X).mean((1, 2))

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.head(self.features(X))


def _block(in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, rngs=rngs),
        nn.BatchNorm(out_channels),
        nnx.relu,
        nn.MaxPool2d(2),
    )
