"""A pair of nets without normalisation that make and judge images (second edition, DCGAN's section)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from parity.reference.init import init_weights, zero_biases

Images = Float[Tensor, "_ _ _ _"]  # (batch, channels, height, width): what comes out has other sizes than what goes in
SIDE = 4
STD = 0.02


class Generator(nn.Module):
    """Makes images (batch, 3, 64, 64) of latent numbers (batch, latent_dim): a learned map that grows."""

    def __init__(self, latent_dim: int = 100, const_ch: int = 128, base_ch: int = 512):
        super().__init__()
        self.const = learned_map(const_ch)
        self.z_proj = nn.Linear(latent_dim, latent_dim * SIDE**2)
        self.mix = conv(const_ch + latent_dim, base_ch)
        self.stages = nn.ModuleList(convs([base_ch // 2**i for i in range(5)]))
        self.to_rgb = conv(base_ch // 16, 3)
        start(self)

    def forward(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, "batch 3 64 64"]:
        return grown(self, spread(self.const, len(z)), latent_maps(self.z_proj, z))


class Discriminator(nn.Module):
    """Scores (batch, 1) whether images (batch, 3, 64, 64) are real: four stages halve them."""

    def __init__(self, base_ch: int = 32):
        super().__init__()
        self.stages = nn.ModuleList(convs([3, *(base_ch * 2**i for i in range(4))]))
        self.mix = conv(base_ch * 8, base_ch * 16)
        self.head = nn.Linear(base_ch * 16 * SIDE**2, 1)
        start(self)

    def forward(self, X: Float[Tensor, "batch 3 64 64"]) -> Float[Tensor, "batch 1"]:
        return self.head(shrunk(self, X).flatten(1))


def doubled(X: Images) -> Images:
    """Twice the height and width, bilinearly."""
    return F.interpolate(X, scale_factor=2, mode="bilinear", align_corners=False)


def halved(X: Images) -> Images:
    """Half the height and width, rounded down, bilinearly and smoothed."""
    return F.interpolate(X, scale_factor=0.5, mode="bilinear", align_corners=False, antialias=True)


def learned_map(channels: int) -> nn.Parameter:
    """Returns the map (1, channels, 4, 4) that all images begin with, from N(0, 0.02^2)."""
    return nn.Parameter(STD * torch.randn(1, channels, SIDE, SIDE))


def conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Returns a 3x3 convolution that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, 3, 1, 1)


def convs(channels: list[int]) -> list[nn.Conv2d]:
    """Returns convolutions that lead from each number of channels to the next."""
    return [conv(*pair) for pair in zip(channels, channels[1:])]


def start(net: nn.Module) -> None:
    """Draws the weights of dense layers and convolutions from N(0, 0.02^2) and sets their biases to 0, in place."""
    init_weights(net, lambda weight: nn.init.normal_(weight, 0, STD))
    zero_biases(net)


def spread(maps: Images, batch: int) -> Images:
    """The same 4x4 maps for each example of a batch; vectors (batch, channels, 1, 1) in every pixel."""
    return maps.expand(batch, -1, SIDE, SIDE)


def latent_maps(z_proj: nn.Linear, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, "batch latent_dim 4 4"]:
    """Maps of the latent numbers."""
    return z_proj(z).reshape(*z.shape, SIDE, SIDE)


def grown(net: Any, *maps: Images) -> Images:
    """Images of the 4x4 maps beside each other: mixed, doubled in stages and told as colours."""
    X = activation(net.mix(torch.cat(maps, dim=1)))
    for stage in net.stages:
        X = activation(stage(doubled(X)))
    return net.to_rgb(X)


def shrunk(net: Any, X: Images) -> Images:
    """The features (batch, channels, 4, 4) of images: halved in stages and mixed."""
    for stage in net.stages:
        X = halved(activation(stage(X)))
    return activation(net.mix(X))


def activation(X: Images) -> Images:
    """Leaky ReLU of slope 0.2."""
    return F.leaky_relu(X, 0.2)
