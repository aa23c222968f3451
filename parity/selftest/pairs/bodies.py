"""Correct twins whose bodies do what no layer does: gates, joint projections, padding by hand, masks, chains."""

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float, Int
from torch.nn import functional as F

from parity.selftest.bug import Pair
from parity.selftest.layers import param
from parity.selftest.pairs.building import dense, rngs

T = torch.nn


class Gated(nnx.Module):
    """A gated feed-forward network whose result is scaled before it is added."""

    def __init__(self):
        self.gate = dense(5, 7)
        self.up = dense(5, 7)
        self.down = dense(7, 5)
        self.scale = param(5)

    def __call__(self, x: Float[Array, "batch time 5"]) -> Array:
        y = self.down(self.gated(self.gate(x), self.up(x)))
        return self.added(x, y, self.scale[...][None, None])

    def gated(self, gate: Array, up: Array) -> Array:
        return nnx.silu(gate) * up

    def added(self, x: Array, y: Array, scale: Array) -> Array:
        return x + scale * y


class TorchGated(T.Module):
    def __init__(self):
        super().__init__()
        self.gate = T.Linear(5, 7)
        self.up = T.Linear(5, 7)
        self.down = T.Linear(7, 5)
        self.scale = T.Parameter(torch.ones(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.down(F.silu(self.gate(x)) * self.up(x))


class Joint(nnx.Module):
    """Attention whose queries, keys and values are one projection; its result is added to what it is given."""

    def __init__(self):
        self.stem = dense(4, 6)
        self.qkv = dense(6, 18)
        self.out = dense(6, 6)

    def __call__(self, x: Float[Array, "batch time 4"]) -> Array:
        x = self.stem(x)
        y = self.qkv(x)
        query, key, value = self.split(y)
        weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) / 3**0.5)
        return self.added(x, self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)))

    def split(self, y: Array) -> Array:
        return jnp.moveaxis(y.reshape(*y.shape[:2], 3, 2, 3), 2, 0)

    def added(self, x: Array, y: Array) -> Array:
        return x + y


class TorchJoint(T.Module):
    def __init__(self):
        super().__init__()
        self.stem = T.Linear(4, 6)
        self.qkv = T.Linear(6, 18)
        self.out = T.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        query, key, value = (part.unflatten(-1, (2, 3)).transpose(1, 2) for part in self.qkv(x).split(6, -1))
        return x + self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Causal(nnx.Module):
    """Two causal convolutions over time, the second dilated."""

    def __init__(self, padding: str = "CAUSAL"):
        self.first = nnx.Conv(4, 5, (3,), padding=padding, rngs=rngs())
        self.second = nnx.Conv(5, 6, (3,), kernel_dilation=2, padding=padding, rngs=rngs())
        self.out = dense(6, 2)

    def __call__(self, x: Float[Array, "batch time 4"]) -> Array:
        return self.out(self.second(nnx.relu(self.first(x))))


class TorchCausal(T.Module):
    """Pads by hand."""

    def __init__(self):
        super().__init__()
        self.first = T.Conv1d(4, 5, 3)
        self.second = T.Conv1d(5, 6, 3, dilation=2)
        self.out = T.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(F.pad(x.transpose(1, 2), (2, 0))))
        return self.out(self.second(F.pad(x, (4, 0))).transpose(1, 2))


class TorchCropped(TorchCausal):
    """Pads both ends, and crops the last."""

    def __init__(self):
        super().__init__()
        self.first = T.Conv1d(4, 5, 3, padding=2)
        self.second = T.Conv1d(5, 6, 3, dilation=2, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x.transpose(1, 2))[:, :, :-2])
        return self.out(self.second(x)[:, :, :-4].transpose(1, 2))


class Averaged(nnx.Module):
    """The mean of the embeddings of what is no padding, through a chain of states of its own."""

    def __init__(self):
        self.embedding = nnx.Embed(11, 6, rngs=rngs())
        self.moves = param(6, 6)
        self.out = dense(6, 4)

    def __call__(self, ids: Int[Array, "batch time"]) -> Array:
        seen = (ids != 0)[..., None]
        total = (self.embedding(ids) * seen).sum(1)
        return self.out(jnp.tanh(self.mean(total, seen.sum(1), ids.shape[1]) @ self.matrix()))

    def mean(self, total: Array, count: Array, length: int) -> Array:
        return total / count

    def matrix(self) -> Array:
        return self.moves[...]


class TorchAveraged(T.Module):
    def __init__(self):
        super().__init__()
        self.embedding = T.Embedding(11, 6)
        self.moves = T.Parameter(torch.zeros(6, 6))
        self.out = T.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        seen = (ids != 0)[..., None]
        total = (self.embedding(ids) * seen).sum(1)
        return self.out(torch.tanh(total / seen.sum(1) @ self.moves))


GATED = Pair("gated", Gated, TorchGated, (2, 3, 5))
JOINT = Pair("joint projection", Joint, TorchJoint, (2, 4, 4))
CAUSAL = Pair("causal by hand", Causal, TorchCausal, (2, 9, 4))
CROPPED = Pair("causal by cropping", Causal, TorchCropped, (2, 9, 4))
AVERAGED = Pair("mean without padding", Averaged, TorchAveraged, (4, 5), integers=11)
