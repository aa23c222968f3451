"""Correct twins of embeddings, attention and recurrent layers."""

import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import losses
from parity.selftest import layers
from parity.selftest.bug import Pair
from parity.selftest.pairs.building import MOMENTUM, dense, rngs

T = torch.nn


class Block(nnx.Module):
    """Attention to the past with a residual connection, then a norm and a classifier."""

    def __init__(self):
        self.attention = layers.MultiheadAttention(6, 2, rngs())
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs())
        self.out = dense(6, 7)

    def __call__(self, x: Float[Array, "batch time 6"]) -> Float[Array, "batch time 7"]:
        return self.out(self.norm(self.residual(x, self.attention(x, self.mask(x.shape[1])))))

    def mask(self, length: int) -> Array | None:
        return ~jnp.tril(jnp.ones((length, length), bool))

    def residual(self, x: Array, y: Array) -> Array:
        return x + y


class TorchBlock(T.Module):
    def __init__(self):
        super().__init__()
        self.attention = T.MultiheadAttention(6, 2, batch_first=True)
        self.norm = T.LayerNorm(6)
        self.out = T.Linear(6, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return self.out(self.norm(x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]))


class Recurrent(nnx.Module):
    """An LSTM, a GRU and a dense layer, one after the other."""

    def __init__(self):
        self.lstm = layers.LSTM(4, 6)
        self.gru = layers.GRU(6, 5)
        self.out = dense(5, 3)

    def __call__(self, x: Float[Array, "batch time 4"]) -> Float[Array, "batch time 3"]:
        return self.out(self.gru(self.lstm(x)[0])[0])


class TorchRecurrent(T.Module):
    def __init__(self):
        super().__init__()
        self.lstm = T.LSTM(4, 6, batch_first=True)
        self.gru = T.GRU(6, 5, batch_first=True)
        self.out = T.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.lstm(x)[0])[0])


class Text(nnx.Module):
    """An embedding whose weight is the classifier's too; index 0 is padding."""

    def __init__(self):
        self.embed = layers.Embedding(11, 6, 0)
        self.hidden = dense(6, 6)
        self.out = layers.TiedLinear(self.embed.weight)

    def __call__(self, ids: Int[Array, "batch time"]) -> Float[Array, "batch time 11"]:
        return self.out(jnp.tanh(self.hidden(self.embed(ids))))


class TorchText(T.Module):
    def __init__(self):
        super().__init__()
        self.embed = T.Embedding(11, 6, padding_idx=0)
        self.hidden = T.Linear(6, 6)
        self.out = T.Linear(6, 11)
        self.out.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.hidden(self.embed(ids))))


class Lookup(nnx.Module):
    """The mean of embeddings, classified; index 0 is padding."""

    def __init__(self):
        self.embed = layers.Embedding(11, 6, 0)
        self.out = dense(6, 4)

    def __call__(self, ids: Int[Array, "batch time"]) -> Float[Array, "batch 4"]:
        return self.out(self.embed(ids).mean(1))


class TorchLookup(T.Module):
    def __init__(self):
        super().__init__()
        self.embed = T.Embedding(11, 6, padding_idx=0)
        self.out = T.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.embed(ids).mean(1))


ATTENTION = Pair("attention", Block, TorchBlock, (2, 5, 6), labels=True, loss=losses.cross_entropy)
RECURRENT = Pair("recurrent", Recurrent, TorchRecurrent, (3, 4, 4), optimizer=MOMENTUM)
TEXT = Pair("text", Text, TorchText, (3, 5), integers=11, labels=True, loss=losses.cross_entropy)
LOOKUP = Pair("lookup", Lookup, TorchLookup, (4, 5), integers=11, labels=True, loss=losses.cross_entropy)
