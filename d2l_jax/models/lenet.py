"""LeNet (LeCun et al. 1998; book, sections 7.6 and 13.5; notes A5)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.cpu import add_bias, conv_general_dilated
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


class LeNetScratch(nnx.Module):
    """LeNet with ReLUs from scratch: four weights and four biases, and functions of them (book, section 13.5).

    Weights are drawn from N(0, scale), biases start at 0. Those of the dense layers have the shape (inputs, outputs).
    """

    # PyTorch has the output channels of a convolution first.
    weight_rule = {"W1": ("W1", "output_first"), "W2": ("W2", "output_first")}

    def __init__(
        self,
        scale: float = 0.01,
        num_outputs: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        rngs: nnx.Rngs,
    ):
        height, width = (((n - 2) // 2 - 4) // 2 for n in image_size)

        def normal(*shape: int) -> nnx.Param:
            return nnx.Param(scale * jax.random.normal(rngs.params(), shape, jnp.float32))

        self.W1 = normal(3, 3, in_channels, 20)
        self.b1 = nnx.Param(jnp.zeros(20, jnp.float32))
        self.W2 = normal(5, 5, 20, 50)
        self.b2 = nnx.Param(jnp.zeros(50, jnp.float32))
        self.W3 = normal(50 * height * width, 128)
        self.b3 = nnx.Param(jnp.zeros(128, jnp.float32))
        self.W4 = normal(128, num_outputs)
        self.b4 = nnx.Param(jnp.zeros(num_outputs, jnp.float32))

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        pool = nn.AvgPool2d(2)
        H1 = pool(nnx.relu(conv2d(X, self.W1[...], self.b1[...])))
        H2 = pool(nnx.relu(conv2d(H1, self.W2[...], self.b2[...])))
        H3 = nnx.relu(nn.flatten(H2) @ self.W3[...] + self.b3[None])
        return H3 @ self.W4[...] + self.b4[None]


def conv2d(
    X: Float[Array, "batch height width channels"],
    W: Float[Array, "kernel_height kernel_width channels outputs"],
    b: Float[Array, " outputs"],
) -> Float[Array, "batch height1 width1 outputs"]:
    """Convolution without padding, and a bias, as a function of its weights."""
    order = ("NHWC", "HWIO", "NHWC")
    return add_bias(conv_general_dilated(X, W, (1, 1), ((0, 0), (0, 0)), dimension_numbers=order), b)
