"""Bugs in models as people write them: in functions of a body or a block, in Flax's stock layers' defaults."""

# pyright: reportIncompatibleMethodOverride=false
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from d2l_jax import nn
from parity.selftest.bug import Bug, Plant, become, setting
from parity.selftest.layers import Function
from parity.selftest.pairs import (
    BAG,
    CNN,
    DROPPING,
    FAR_IMAGES,
    FAR_ROWS,
    GPT,
    RECURRENT,
    UPSCALING,
    VISION,
)
from parity.selftest.pairs.building import rngs
from parity.selftest.pairs.images import resized
from parity.selftest.pairs.written import Attention, Bag, Vision


class SamePooling(Vision):
    def pool(self, x: Array) -> Array:
        return nnx.max_pool(x, (3, 3), (2, 2), "SAME")


class HalfPixels(Vision):
    """Bilinear as `jax.image.resize` has it: no corners are aligned."""

    def large(self, x: Array) -> Array:
        return jax.image.resize(x, (len(x), 7, 5, x.shape[3]), "bilinear")


class Neighbours(Attention):
    """Rotates neighbouring features together."""

    def split(self, x: Array) -> list[Array]:
        return [x[..., ::2], x[..., 1::2]]

    def join(self, first: Array, second: Array) -> Array:
        return jnp.stack([first, second], -1).reshape(*first.shape[:-1], -1)


class HalfRotated(Attention):
    """Rotates the first half of a head's features alone."""

    def rotated(self, x: Array) -> Array:
        first, rest = jnp.split(x, 2, -1)
        return jnp.concatenate([super().rotated(first), rest], -1)


class SummedBag(Bag):
    def reduced(self, x: Array) -> Array:
        return x.sum(1)


class Stale(nn.BatchNorm):
    """Running statistics that nobody puts back."""

    def _observe(self, mean: Array, var: Array, count: int) -> None:
        self.num_batches_tracked[...] += 1


class StockLSTM(nnx.Module):
    """Flax's own cell, with one bias, run over time."""

    def __init__(self):
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(4, 6, rngs=rngs()))

    def __call__(self, x: Array) -> tuple:
        return self.rnn(x), None


def stock_lstm(model: nnx.Module) -> None:
    model.lstm = StockLSTM()  # pyright: ignore[reportAttributeAccessIssue]


def without_dropout(model: nnx.Module) -> None:
    model.drop = Function(lambda x: x)  # pyright: ignore[reportAttributeAccessIssue]


def in_block(block: str, *path: str, **attributes: object) -> Plant:
    """Plants other attributes of a module within a block."""

    def plant(model: nnx.Module) -> None:
        part = getattr(model, block)
        for name in path:
            part = getattr(part, name)
        for name, value in attributes.items():
            setattr(part, name, value)

    return plant


BUGS = (
    Bug("antialias in a function", VISION, "", ("antialias",), setting("", small=resized(4, 3, True))),
    Bug("corners not aligned in a function", VISION, "", ("align-corners",), become("", HalfPixels)),
    Bug("pooling by 'SAME' in a function", VISION, "", ("same-padding",), become("", SamePooling)),
    Bug("RMSNorm's eps is Flax's 1e-6", GPT, "first.norm", ("eps",), in_block("first", "norm", epsilon=1e-6)),
    Bug("GELU by tanh in a block", GPT, "second", ("gelu-tanh",), in_block("second", approximate=True)),
    Bug("neighbours rotated, not halves", GPT, "first.attention", ("rope-pairs",),
        in_block("first", "attention", __class__=Neighbours)),
    Bug("half of a head's features rotated", GPT, "second.attention", ("rope-share",),
        in_block("second", "attention", __class__=HalfRotated)),
    Bug("causal mask missing in the second block", GPT, "second.attention", ("causal-mask",),
        in_block("second", "attention", causal=False)),
    Bug("transposed convolution's padding as PyTorch's", UPSCALING, "up", ("k - 1 - p",), setting("up", padding=1)),
    Bug("sum of a bag for its mean", BAG, "bag", ("bag-sum",), become("", SummedBag)),
    Bug("fast variance of rows far from zero", FAR_ROWS, "norm", ("fast-variance",),
        setting("norm", use_fast_variance=True), tiers=("float64", "float32")),
    Bug("fast variance of images far from zero", FAR_IMAGES, "norm", ("fast-variance",),
        setting("norm", use_fast_variance=True)),
    Bug("dropout left out", DROPPING, "drop", ("dropout-missing",), without_dropout),
    Bug("running statistics that stay", CNN, "bn", ("statistics-not-updated", "momentum"), become("bn", Stale)),
    Bug("one bias for two", RECURRENT, "lstm", ("biases-merged",), stock_lstm),
)  # fmt: skip
