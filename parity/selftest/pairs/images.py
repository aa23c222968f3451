"""Correct twins of convolutions, norms, pooling and resizing."""

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jax import lax
from jaxtyping import Array

from d2l_jax import losses, nn
from parity.selftest import layers
from parity.selftest.bug import Pair
from parity.selftest.layers import Function, Stack
from parity.selftest.pairs.building import MOMENTUM, conv, dense, named, rngs

T = torch.nn


def cnn() -> Stack:
    return Stack(
        conv=conv(3, 6, 3, padding=1, bias=False),
        bn=nn.BatchNorm(6),
        act=Function(nnx.relu),
        down=nnx.Conv(6, 4, (3, 3), 2, padding=1, kernel_dilation=1, feature_group_count=2, rngs=rngs()),
        wide=nnx.Conv(4, 4, (3, 3), padding=2, kernel_dilation=2, rngs=rngs()),
        flatten=Function(nn.flatten),
        out=dense(48, 5),
    )


def torch_cnn() -> T.Module:
    return named(
        conv=T.Conv2d(3, 6, 3, padding=1, bias=False),
        bn=T.BatchNorm2d(6),
        act=T.ReLU(),
        down=T.Conv2d(6, 4, 3, 2, 1, groups=2),
        wide=T.Conv2d(4, 4, 3, padding=2, dilation=2),
        flatten=T.Flatten(),
        out=T.Linear(48, 5),
    )


class Channels1d(T.Module):
    """A 1d convolution of sequences whose features are last."""

    def __init__(self):
        super().__init__()
        self.conv = T.Conv1d(4, 6, 3, padding=1)
        self.out = T.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x.transpose(1, 2)).transpose(1, 2))


def conv1d() -> Stack:
    return Stack(conv=nnx.Conv(4, 6, (3,), padding=1, rngs=rngs()), out=dense(6, 3))


def transposed() -> Stack:
    return Stack(stem=conv(3, 4), up=layers.ConvTranspose2d(4, 5, 3, 2, 1, 1), head=conv(5, 2))


def torch_transposed() -> T.Module:
    up = T.ConvTranspose2d(4, 5, 3, 2, 1, 1)
    return named(stem=T.Conv2d(3, 4, 1), up=up, head=T.Conv2d(5, 2, 1))


def norms() -> Stack:
    return Stack(
        stem=conv(3, 6), group=layers.GroupNorm(2, 6), mix=conv(6, 4), instance=layers.GroupNorm(4, 4), head=conv(4, 2)
    )


def torch_norms() -> T.Module:
    return named(
        stem=T.Conv2d(3, 6, 1),
        group=T.GroupNorm(2, 6),
        mix=T.Conv2d(6, 4, 1),
        instance=T.InstanceNorm2d(4, affine=True),
        head=T.Conv2d(4, 2, 1),
    )


def rounded(x: Array) -> Array:
    """Rounds, so that maxima have ties; the gradient passes as if nothing had been rounded."""
    return x + lax.stop_gradient(jnp.round(x) - x)


class Round(T.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (x.round() - x).detach()


class Mean(T.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def pools() -> Stack:
    return Stack(
        stem=conv(3, 4),
        max=layers.Pool("max", 3, 1, 1),
        average=layers.Pool("average", 3, 2, 1),
        mix=conv(4, 5),
        ceil=layers.Pool("max", 2, 2, ceil_mode=True),
        mean=Function(lambda x: x.mean((1, 2))),
        head=dense(5, 2),
    )


def torch_pools() -> T.Module:
    return named(
        stem=T.Conv2d(3, 4, 1),
        max=T.MaxPool2d(3, 1, 1),
        average=T.AvgPool2d(3, 2, 1),
        mix=T.Conv2d(4, 5, 1),
        ceil=T.MaxPool2d(2, 2, ceil_mode=True),
        mean=Mean(),
        head=T.Linear(5, 2),
    )


def ties() -> Stack:
    return Stack(stem=conv(3, 4), round=Function(rounded), max=layers.Pool("max", 3, 1, 1), head=conv(4, 2))


def torch_ties() -> T.Module:
    return named(stem=T.Conv2d(3, 4, 1), round=Round(), max=T.MaxPool2d(3, 1, 1), head=T.Conv2d(4, 2, 1))


def resized(height: int, width: int, antialias: bool = False):
    def resize(x: Array) -> Array:
        return jax.image.resize(x, (x.shape[0], height, width, x.shape[3]), "bilinear", antialias=antialias)

    return resize


def resizing() -> Stack:
    return Stack(
        stem=conv(3, 4), up=Function(resized(10, 8)), mix=conv(4, 5), down=Function(resized(4, 3)), head=conv(5, 2)
    )


def torch_resizing() -> T.Module:
    return named(
        stem=T.Conv2d(3, 4, 1),
        up=T.Upsample((10, 8), mode="bilinear"),
        mix=T.Conv2d(4, 5, 1),
        down=T.Upsample((4, 3), mode="bilinear"),
        head=T.Conv2d(5, 2, 1),
    )


CNN = Pair("cnn", cnn, torch_cnn, (3, 8, 5, 3), labels=True, loss=losses.cross_entropy, optimizer=MOMENTUM)
CONV1D = Pair("conv1d", conv1d, Channels1d, (2, 7, 4))
TRANSPOSED = Pair("transposed", transposed, torch_transposed, (2, 5, 4, 3))
NORMS = Pair("norms", norms, torch_norms, (3, 5, 4, 3))
POOLS = Pair("pools", pools, torch_pools, (2, 9, 11, 3))
TIES = Pair("ties", ties, torch_ties, (2, 5, 6, 3))
RESIZING = Pair("resizing", resizing, torch_resizing, (2, 6, 5, 3))
