"""Correct twins as ports are usually written: einsum, grouped heads, lists of layers, arrays without a dtype."""

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float
from torch.nn import functional as F

from parity.selftest.bug import Pair
from parity.selftest.pairs.building import dense

T = torch.nn
HEADS = 4
GROUPS = 2
DEPTH = 2


class GroupedAttention(nnx.Module):
    """Attention whose queries share keys and values in groups, by einsum; the mask and the sums name no dtype."""

    def __init__(self):
        self.query = dense(8, 8)
        self.key = dense(8, 2 * GROUPS)
        self.value = dense(8, 2 * GROUPS)

    def __call__(self, x: Float[Array, "batch time 8"]) -> Array:
        batch, time = x.shape[:2]
        q = self.query(x).reshape(batch, time, GROUPS, HEADS // GROUPS, 2)
        k, v = (layer(x).reshape(batch, time, GROUPS, 2) for layer in (self.key, self.value))
        scores = jnp.einsum("btgrd,bsgd->bgrts", q, k) / jnp.sqrt(2.0)
        scores = scores + jnp.where(jnp.tri(time) > 0, 0.0, -1e9)
        return jnp.einsum("bgrts,bsgd->btgrd", jax.nn.softmax(scores), v).reshape(x.shape)


class TorchGroupedAttention(T.Module):
    def __init__(self):
        super().__init__()
        self.query = T.Linear(8, 8)
        self.key = T.Linear(8, 2 * GROUPS)
        self.value = T.Linear(8, 2 * GROUPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = ((self.query, HEADS), (self.key, GROUPS), (self.value, GROUPS))
        q, k, v = (layer(x).unflatten(-1, (number, 2)).transpose(1, 2) for layer, number in heads)
        k, v = (each.repeat_interleave(HEADS // GROUPS, 1) for each in (k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


class Listed(nnx.Module):
    """Blocks in a list, with a residual around each."""

    def __init__(self):
        self.blocks = nnx.List([GroupedAttention() for _ in range(DEPTH)])

    def __call__(self, x: Float[Array, "batch time 8"]) -> Array:
        for block in self.blocks:
            x = x + block(x)
        return x


class TorchListed(T.Module):
    def __init__(self):
        super().__init__()
        self.blocks = T.ModuleList([TorchGroupedAttention() for _ in range(DEPTH)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


class Looped(nnx.Module):
    """A recurrent layer as a scan from zeros that name no dtype."""

    def __init__(self):
        self.input = dense(5, 6)
        self.hidden = dense(6, 6, bias=False)

    def __call__(self, x: Float[Array, "batch time 5"]) -> Array:
        steps = self.input(x).swapaxes(0, 1)
        kernel = self.hidden.kernel[...]

        def step(h: Array, z: Array) -> tuple[Array, Array]:
            h = jnp.tanh(z + h @ kernel)
            return h, h

        _, states = jax.lax.scan(step, self.start(steps.shape[1:]), steps)
        return states.swapaxes(0, 1)

    def start(self, shape: tuple[int, ...]) -> Array:
        return jnp.zeros(shape)


class TorchLooped(T.Module):
    def __init__(self):
        super().__init__()
        self.input = T.Linear(5, 6)
        self.hidden = T.Linear(6, 6, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = [torch.zeros(len(x), 6)]
        for z in self.input(x).unbind(1):
            states.append(torch.tanh(z + self.hidden(states[-1])))
        return torch.stack(states[1:], 1)


GROUPED = Pair("grouped heads", Listed, TorchListed, (2, 5, 8))
LOOPED = Pair("looped", Looped, TorchLooped, (2, 5, 5))
