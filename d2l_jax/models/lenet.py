"""LeNet (LeCun et al. 1998; book, section 7.6; notes A5)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn


class LeNet(nnx.Module):
    """LeNet: two convolutions and three dense layers, with sigmoids and average pools (book, section 7.6)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        rngs: nnx.Rngs,
    ):
        features = (
            nn.Conv2d(in_channels, 6, 5, padding=2, rngs=rngs),
            nnx.sigmoid,
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5, rngs=rngs),
            nnx.sigmoid,
            nn.AvgPool2d(2),
        )
        height, width = nn.map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.flatten,
            nn.Linear(16 * height * width, 120, rngs=rngs),
            nnx.sigmoid,
            nn.Linear(120, 84, rngs=rngs),
            nnx.sigmoid,
            nn.Linear(84, num_classes, rngs=rngs),
        )
        init_cnn(self, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)


class LeNet5(nnx.Module):
    """LeNet with ReLUs, for images of 32x32; PyTorch's default initialisation (notes A5)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (32, 32),
        *,
        rngs: nnx.Rngs,
    ):
        features = (
            nn.Conv2d(in_channels, 6, 5, rngs=rngs),
            nnx.relu,
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5, rngs=rngs),
            nnx.relu,
            nn.AvgPool2d(2),
        )
        height, width = nn.map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.flatten,
            nn.Linear(16 * height * width, 120, rngs=rngs),
            nnx.relu,
            nn.Linear(120, 84, rngs=rngs),
            nnx.relu,
            nn.Linear(84, num_classes, rngs=rngs),
        )

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
