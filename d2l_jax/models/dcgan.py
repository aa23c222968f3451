"""DCGAN: a generator of transposed convolutions against a discriminator of convolutions (book, section 20.2)."""

from functools import partial

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_dcgan, init_normal


class G_block(nnx.Module):
    """A transposed convolution without bias, batch normalisation, ReLU (section 20.2).

    Shapes: (batch, height, width, in_channels) -> (batch, height', width', out_channels), by default twice the size.
    """

    def __init__(
        self,
        out_channels: int,
        in_channels: int = 3,
        kernel_size: int = 4,
        strides: int = 2,
        padding: int = 1,
        *,
        rngs: nnx.Rngs,
    ):
        sizes = (in_channels, out_channels, kernel_size, strides, padding)
        self.conv2d_trans = nn.ConvTranspose2d(*sizes, bias=False, rngs=rngs)
        self.batch_norm = nn.BatchNorm(out_channels)

    def __call__(
        self, X: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        return nnx.relu(self.batch_norm(self.conv2d_trans(X)))


class D_block(nnx.Module):
    """A convolution without bias, batch normalisation, leaky ReLU of slope `alpha` (section 20.2).

    Shapes: (batch, height, width, in_channels) -> (batch, height', width', out_channels), by default half the size.
    """

    def __init__(
        self,
        out_channels: int,
        in_channels: int = 3,
        kernel_size: int = 4,
        strides: int = 2,
        padding: int = 1,
        alpha: float = 0.2,
        *,
        rngs: nnx.Rngs,
    ):
        self.conv2d = nn.Conv2d(in_channels, out_channels, kernel_size, strides, padding, bias=False, rngs=rngs)
        self.batch_norm = nn.BatchNorm(out_channels)
        self.activation = partial(nn.leaky_relu, negative_slope=alpha)

    def __call__(
        self, X: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        return self.activation(self.batch_norm(self.conv2d(X)))


def dcgan_generator(n_G: int = 64, latent_dim: int = 100, corrected: bool = False, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Makes images (batch, 64, 64, 3) in [-1, 1] of latent numbers (batch, 1, 1, latent_dim) (section 20.2).

    n_G: channels of the last hidden map; those before it have 2, 4 and 8 times as many
    corrected: scales of batch normalisation start near 1, as in the second edition; the first draws them near 0
    """
    net = nn.Sequential(
        G_block(n_G * 8, latent_dim, strides=1, padding=0, rngs=rngs),
        G_block(n_G * 4, n_G * 8, rngs=rngs),
        G_block(n_G * 2, n_G * 4, rngs=rngs),
        G_block(n_G, n_G * 2, rngs=rngs),
        nn.ConvTranspose2d(n_G, 3, 4, 2, 1, bias=False, rngs=rngs),
        nnx.tanh,
    )
    return (init_dcgan if corrected else init_normal)(net, rngs=rngs)


def dcgan_discriminator(n_D: int = 64, corrected: bool = False, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Scores (batch, 1, 1, 1) whether images (batch, 64, 64, 3) are real (section 20.2).

    n_D: channels of the first map; those behind it have 2, 4 and 8 times as many
    corrected: as in `dcgan_generator`
    """
    net = nn.Sequential(
        D_block(n_D, rngs=rngs),
        D_block(n_D * 2, n_D, rngs=rngs),
        D_block(n_D * 4, n_D * 2, rngs=rngs),
        D_block(n_D * 8, n_D * 4, rngs=rngs),
        nn.Conv2d(n_D * 8, 1, 4, bias=False, rngs=rngs),
    )
    return (init_dcgan if corrected else init_normal)(net, rngs=rngs)


def draw_images(
    random: np.random.Generator, latent_dim: int = 100, size: tuple[int, int] = (67, 65)
) -> dict[str, np.ndarray]:
    """Draws 3 images as "X" and latent numbers for as many as "Z", float32, for the parity check.

    The images are larger than those that a generator makes, in a way that is odd somewhere: uneven padding shows.
    """
    X = random.uniform(-1, 1, size=(3, *size, 3))
    return {"X": X.astype(np.float32), "Z": random.normal(size=(3, 1, 1, latent_dim)).astype(np.float32)}
