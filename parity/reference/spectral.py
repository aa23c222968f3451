"""A discriminator of images with spectral normalisation in every layer (Miyato et al. 2018)."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectral_discriminator(n_D: int = 64, in_channels: int = 3, features: int = 4 * 4 * 128) -> nn.Sequential:
    """Scores (batch, 1) images: two convolutions that halve them, and a dense layer."""
    return nn.Sequential(
        spectral_norm(nn.Conv2d(in_channels, n_D, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(n_D, n_D * 2, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        spectral_norm(nn.Linear(features, 1)),
    )
