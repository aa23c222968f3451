"""A discriminator of images with spectral normalisation in every layer (Miyato et al. 2018)."""

from functools import partial

from flax import nnx

from d2l_jax import nn


def spectral_discriminator(
    n_D: int = 64, in_channels: int = 3, features: int = 4 * 4 * 128, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """Scores (batch, 1) images: two convolutions that halve them, and a dense layer.

    features: numbers behind the convolutions
    """
    activation = partial(nn.leaky_relu, negative_slope=0.2)
    return nn.Sequential(
        nn.SpectralConv2d(in_channels, n_D, 4, 2, 1, rngs=rngs),
        activation,
        nn.SpectralConv2d(n_D, n_D * 2, 4, 2, 1, rngs=rngs),
        activation,
        nn.flatten,
        nn.SpectralLinear(features, 1, rngs=rngs),
    )
