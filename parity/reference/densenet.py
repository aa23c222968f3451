"""DenseNet (Huang et al. 2017; book, section 8.7)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn

Maps = Float[Tensor, "batch channels height width"]


def conv_block(num_channels: int, in_channels: int) -> nn.Sequential:
    """Batch normalisation, ReLU and a 3x3 convolution (book, section 8.7)."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, num_channels, 3, padding=1),
    )


class DenseBlock(nn.Module):
    """A dense block: each convolution reads the block's input and all outputs before it (book, section 8.7).

    The input and all outputs are joined along the channels.
    """

    def __init__(self, num_convs: int, num_channels: int, in_channels: int = 3):
        super().__init__()
        self.net = nn.Sequential(*(conv_block(num_channels, in_channels + i * num_channels) for i in range(num_convs)))

    def forward(self, X: Maps) -> Float[Tensor, "batch channels1 height width"]:
        for block in self.net:
            X = torch.cat((X, block(X)), dim=1)
        return X


def transition_block(num_channels: int, in_channels: int = 23) -> nn.Sequential:
    """A 1x1 convolution to `num_channels`, and a pool that halves height and width (book, section 8.7)."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, num_channels, 1),
        nn.AvgPool2d(2, stride=2),
    )


class DenseNet(nn.Module):
    """DenseNet: dense blocks of `arch` convolutions, and transitions between them (book, section 8.7).

    A transition halves height, width and channels. Weights start from PyTorch's defaults: the book's Xavier call meets
    lazy layers and does nothing; `corrected` heeds it.
    """

    def __init__(
        self,
        num_channels: int = 64,
        growth_rate: int = 32,
        arch: tuple[int, ...] = (4, 4, 4, 4),
        num_classes: int = 10,
        in_channels: int = 1,
        corrected: bool = False,
    ):
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(in_channels, num_channels, 7, stride=2, padding=3),
            nn.BatchNorm2d(num_channels),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.net = nn.Sequential(stem)
        for i, num_convs in enumerate(arch, 1):
            self.net.add_module(f"dense_blk{i}", DenseBlock(num_convs, growth_rate, num_channels))
            num_channels += num_convs * growth_rate
            if i < len(arch):
                self.net.add_module(f"tran_blk{i}", transition_block(num_channels // 2, num_channels))
                num_channels //= 2
        last = nn.Sequential(
            nn.BatchNorm2d(num_channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
            nn.Linear(num_channels, num_classes),
        )
        self.net.add_module("last", last)
        if corrected:
            init_cnn(self)

    def forward(self, X: Maps) -> Float[Tensor, "batch classes"]:
        return self.net(X)
