"""DCGAN: a generator of transposed convolutions against a discriminator of convolutions (book, section 20.2)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_dcgan, init_normal


class G_block(nn.Module):
    """A transposed convolution without bias, batch normalisation, ReLU (section 20.2)."""

    def __init__(
        self, out_channels: int, in_channels: int = 3, kernel_size: int = 4, strides: int = 2, padding: int = 1
    ):
        super().__init__()
        self.conv2d_trans = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, strides, padding, bias=False)
        self.batch_norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()

    def forward(
        self, X: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        return self.activation(self.batch_norm(self.conv2d_trans(X)))


class D_block(nn.Module):
    """A convolution without bias, batch normalisation, leaky ReLU of slope `alpha` (section 20.2)."""

    def __init__(
        self,
        out_channels: int,
        in_channels: int = 3,
        kernel_size: int = 4,
        strides: int = 2,
        padding: int = 1,
        alpha: float = 0.2,
    ):
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out_channels, kernel_size, strides, padding, bias=False)
        self.batch_norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.LeakyReLU(alpha)

    def forward(
        self, X: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        return self.activation(self.batch_norm(self.conv2d(X)))


def dcgan_generator(n_G: int = 64, latent_dim: int = 100, corrected: bool = False) -> nn.Sequential:
    """Makes images (batch, 3, 64, 64) in [-1, 1] of latent numbers (batch, latent_dim, 1, 1) (section 20.2)."""
    net = nn.Sequential(
        G_block(n_G * 8, latent_dim, strides=1, padding=0),
        G_block(n_G * 4, n_G * 8),
        G_block(n_G * 2, n_G * 4),
        G_block(n_G, n_G * 2),
        nn.ConvTranspose2d(n_G, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    return (init_dcgan if corrected else init_normal)(net)


def dcgan_discriminator(n_D: int = 64, corrected: bool = False) -> nn.Sequential:
    """Scores (batch, 1, 1, 1) whether images (batch, 3, 64, 64) are real (section 20.2)."""
    net = nn.Sequential(
        D_block(n_D),
        D_block(n_D * 2, n_D),
        D_block(n_D * 4, n_D * 2),
        D_block(n_D * 8, n_D * 4),
        nn.Conv2d(n_D * 8, 1, 4, bias=False),
    )
    return (init_dcgan if corrected else init_normal)(net)
