"""DenseNet (Huang et al. 2017; book, section 8.7)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn

Maps = Float[Array, "batch height width channels"]


def conv_block(num_channels: int, in_channels: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Batch normalisation, ReLU and a 3x3 convolution (book, section 8.7)."""
    return nn.Sequential(
        nn.BatchNorm(in_channels),
        nnx.relu,
        nn.Conv2d(in_channels, num_channels, 3, padding=1, rngs=rngs),
    )


class DenseBlock(nnx.Module):
    """A dense block: each convolution reads the block's input and all outputs before it (book, section 8.7).

    The input and all outputs are joined along the channels.
    """

    def __init__(self, num_convs: int, num_channels: int, in_channels: int = 3, *, rngs: nnx.Rngs):
        self.net = nn.Sequential(
            *(conv_block(num_channels, in_channels + i * num_channels, rngs=rngs) for i in range(num_convs))
        )

    def __call__(self, X: Maps) -> Float[Array, "batch height width channels1"]:
        for block in self.net:
            X = jnp.concatenate((X, block(X)), axis=-1)
        return X


def transition_block(num_channels: int, in_channels: int = 23, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A 1x1 convolution to `num_channels`, and a pool that halves height and width (book, section 8.7)."""
    return nn.Sequential(
        nn.BatchNorm(in_channels),
        nnx.relu,
        nn.Conv2d(in_channels, num_channels, 1, rngs=rngs),
        nn.AvgPool2d(2, stride=2),
    )


class DenseNet(nnx.Module):
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
        *,
        rngs: nnx.Rngs,
    ):
        stem = nn.Sequential(
            nn.Conv2d(in_channels, num_channels, 7, stride=2, padding=3, rngs=rngs),
            nn.BatchNorm(num_channels),
            nnx.relu,
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks = {}
        for i, num_convs in enumerate(arch, 1):
            blocks[f"dense_blk{i}"] = DenseBlock(num_convs, growth_rate, num_channels, rngs=rngs)
            num_channels += num_convs * growth_rate
            if i < len(arch):
                blocks[f"tran_blk{i}"] = transition_block(num_channels // 2, num_channels, rngs=rngs)
                num_channels //= 2
        last = nn.Sequential(
            nn.BatchNorm(num_channels),
            nnx.relu,
            nn.AdaptiveAvgPool2d(1),
            nn.flatten,
            nn.Linear(num_channels, num_classes, rngs=rngs),
        )
        self.net = nn.Sequential(stem, **blocks, last=last)
        if corrected:
            init_cnn(self, rngs=rngs)

    def __call__(self, X: Maps) -> Float[Array, "batch classes"]:
        return self.net(X)
