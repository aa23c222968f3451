"""Correct twins as people write them: functions in the body, blocks of one's own, Flax's stock layers."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from jaxtyping import Array, Float, Int
from torch.nn import functional as F

from parity.selftest.bug import Pair
from parity.selftest.layers import Function, Stack
from parity.selftest.pairs.building import conv, dense, named, rngs
from parity.selftest.pairs.images import resized

T = torch.nn
BASE = 100.0
LARGE = 1e4


class Vision(nnx.Module):
    """Two convolutions, with pooling and resizing between them."""

    def __init__(self):
        self.stem = conv(3, 4)
        self.head = conv(4, 2)
        self.small = resized(4, 3)

    def __call__(self, x: Float[Array, "batch height width 3"]) -> Array:
        return self.head(self.large(self.small(self.pool(nnx.relu(self.stem(x))))))

    def pool(self, x: Array) -> Array:
        return nnx.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]

    def large(self, x: Array) -> Array:
        """Bilinear with the corners aligned."""
        for axis, size in ((1, 7), (2, 5)):
            at = jnp.linspace(0, x.shape[axis] - 1, size, dtype=x.dtype)
            low = jnp.clip(jnp.floor(at).astype(int), 0, x.shape[axis] - 2)
            part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
            x = x.take(low, axis) * (1 - part) + x.take(low + 1, axis) * part
        return x


class TorchVision(T.Module):
    def __init__(self):
        super().__init__()
        self.stem = T.Conv2d(3, 4, 1)
        self.head = T.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, padding=1)
        x = F.interpolate(x, (4, 3), mode="bilinear")
        return self.head(F.interpolate(x, (7, 5), mode="bilinear", align_corners=True))


def angles(length: int, size: int) -> np.ndarray:
    return np.outer(np.arange(length), BASE ** (-np.arange(0, size, 2) / size))


class Attention(nnx.Module):
    """Attention to the past with rotary positions: the two halves of a head's features are rotated together."""

    def __init__(self):
        self.query = dense(8, 8)
        self.key = dense(8, 8)
        self.value = dense(8, 8)
        self.out = dense(8, 8)
        self.causal = True

    def __call__(self, x: Float[Array, "batch time 8"]) -> Array:
        heads = (layer(x).reshape(*x.shape[:2], 2, 4) for layer in (self.query, self.key, self.value))
        query, key, value = heads
        y = jax.nn.dot_product_attention(self.rotated(query), self.rotated(key), value, is_causal=self.causal)
        return self.out(y.reshape(x.shape))

    def rotated(self, x: Float[Array, "batch time heads size"]) -> Array:
        angle = jnp.asarray(angles(x.shape[1], x.shape[-1]), x.dtype)[:, None]
        first, second = self.split(x)
        cos = jnp.cos(angle)
        sin = jnp.sin(angle)
        return self.join(first * cos - second * sin, first * sin + second * cos)

    def split(self, x: Array) -> list[Array]:
        return jnp.split(x, 2, -1)

    def join(self, first: Array, second: Array) -> Array:
        return jnp.concatenate([first, second], -1)


class TorchAttention(T.Module):
    def __init__(self):
        super().__init__()
        self.query = T.Linear(8, 8)
        self.key = T.Linear(8, 8)
        self.value = T.Linear(8, 8)
        self.out = T.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = (layer(x).view(*x.shape[:2], 2, 4).transpose(1, 2) for layer in (self.query, self.key, self.value))
        query, key, value = heads
        y = F.scaled_dot_product_attention(self.rotated(query), self.rotated(key), value, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(x.shape))

    def rotated(self, x: torch.Tensor) -> torch.Tensor:
        angle = torch.tensor(angles(x.shape[2], x.shape[3]), dtype=x.dtype, device=x.device)
        angle = torch.cat([angle, angle], -1)
        first, second = x.chunk(2, -1)
        return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


class GPTBlock(nnx.Module):
    """A block of a language model."""

    def __init__(self):
        self.norm = nnx.RMSNorm(8, epsilon=float(np.finfo(np.float32).eps), rngs=rngs())
        self.attention = Attention()
        self.up = dense(8, 12)
        self.down = dense(12, 8)
        self.approximate = False

    def __call__(self, x: Float[Array, "batch time 8"]) -> Array:
        x = x + self.attention(self.norm(x))
        return x + self.down(nnx.gelu(self.up(x), approximate=self.approximate))


class TorchGPTBlock(T.Module):
    def __init__(self):
        super().__init__()
        self.norm = T.RMSNorm(8)
        self.attention = TorchAttention()
        self.up = T.Linear(8, 12)
        self.down = T.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x))
        return x + self.down(F.gelu(self.up(x)))


def upscaling() -> Stack:
    """Transposed convolutions by Flax's own layer: its padding is k - 1 - p."""
    return Stack(stem=conv(3, 4), up=nnx.ConvTranspose(4, 2, (4, 4), (2, 2), padding=2, rngs=rngs()))


class Bag(nnx.Module):
    """The mean of embeddings, classified."""

    def __init__(self):
        self.bag = nnx.Embed(11, 6, rngs=rngs())
        self.out = dense(6, 4)

    def __call__(self, ids: Int[Array, "batch time"]) -> Array:
        return self.out(self.reduced(self.bag(ids)))

    def reduced(self, x: Array) -> Array:
        return x.mean(1)


def far_rows() -> Stack:
    """Layer normalisation of numbers far from zero."""
    norm = nnx.LayerNorm(7, epsilon=1e-5, use_fast_variance=False, rngs=rngs())
    return Stack(norm=norm, out=dense(7, 3))


def far_images() -> Stack:
    """Group normalisation of numbers far from zero."""
    norm = nnx.GroupNorm(6, num_groups=2, epsilon=1e-5, use_fast_variance=False, rngs=rngs())
    return Stack(norm=norm, out=conv(6, 2))


def dropping() -> Stack:
    return Stack(hidden=dense(5, 8), act=Function(nnx.relu), drop=nnx.Dropout(0.4, rngs=rngs()), out=dense(8, 3))


def torch_dropping() -> T.Module:
    return named(hidden=T.Linear(5, 8), act=T.ReLU(), drop=T.Dropout(0.4), out=T.Linear(8, 3))


VISION = Pair("vision", Vision, TorchVision, (2, 16, 12, 3))
GPT = Pair(
    "language model",
    lambda: Stack(first=GPTBlock(), second=GPTBlock()),
    lambda: named(first=TorchGPTBlock(), second=TorchGPTBlock()),
    (2, 5, 8),
    scale=0.3,
)
UPSCALING = Pair(
    "upscaling", upscaling, lambda: named(stem=T.Conv2d(3, 4, 1), up=T.ConvTranspose2d(4, 2, 4, 2, 1)), (2, 5, 4, 3)
)
BAG = Pair("bag", Bag, lambda: named(bag=T.EmbeddingBag(11, 6, mode="mean"), out=T.Linear(6, 4)), (4, 5), integers=11)
FAR_ROWS = Pair("far from zero", far_rows, lambda: named(norm=T.LayerNorm(7), out=T.Linear(7, 3)), (6, 7), offset=LARGE)
FAR_IMAGES = Pair(
    "images far from zero",
    far_images,
    lambda: named(norm=T.GroupNorm(2, 6), out=T.Conv2d(6, 2, 1)),
    (2, 5, 4, 6),
    offset=LARGE,
)
DROPPING = Pair("dropping", dropping, torch_dropping, (6, 5))
