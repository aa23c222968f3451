"""AlexNet (Krizhevsky et al. 2012; book, section 8.1)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn


class AlexNet(nnx.Module):
    """AlexNet: five convolutions and three dense layers, with PyTorch's default initialisation (book, section 8.1)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (224, 224),
        *,
        rngs: nnx.Rngs,
    ):
        features = (
            nn.Conv2d(in_channels, 96, 11, stride=4, padding=1, rngs=rngs),
            nnx.relu,
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, rngs=rngs),
            nnx.relu,
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1, rngs=rngs),
            nnx.relu,
            nn.Conv2d(384, 384, 3, padding=1, rngs=rngs),
            nnx.relu,
            nn.Conv2d(384, 256, 3, padding=1, rngs=rngs),
            nnx.relu,
            nn.MaxPool2d(3, stride=2),
        )
        height, width = nn.map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.flatten,
            nn.Linear(256 * height * width, 4096, rngs=rngs),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            nn.Linear(4096, 4096, rngs=rngs),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            nn.Linear(4096, num_classes, rngs=rngs),
        )
        # The book's Xavier call meets lazy layers and does nothing.

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
