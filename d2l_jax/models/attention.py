"""Attention by scoring functions, and with several heads (book, sections 11.3 and 11.5)."""

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.cpu import softmax
from d2l_jax.errors import InputError

Scores = Float[Array, "batch queries keys"]
Queries = Float[Array, "batch queries query_size"]
Keys = Float[Array, "batch keys key_size"]
Values = Float[Array, "batch keys value_size"]
ValidLens = Int[Array, "batch *queries"] | None


def masked_softmax(X: Scores, valid_lens: ValidLens = None, corrected: bool = False) -> Scores:
    """Softmax over the first `valid_lens` keys of each example, or of each query (book, section 11.3).

    The scores of the other keys become -1e6, not minus infinity: where the valid length is 0, all weights are equal.
    With `corrected` the weights of other keys are 0, there as well.
    Raises InputError unless the valid lengths are None, (batch,) or (batch, queries).
    """
    if valid_lens is None:
        return softmax(X)
    if valid_lens.shape not in (X.shape[:1], X.shape[:2]):
        shapes = f"{X.shape[:1]} or {X.shape[:2]}"
        raise InputError(f"valid lengths of shape {valid_lens.shape} for scores of shape {X.shape}; {shapes} is right")
    ends = valid_lens.astype(int).reshape(X.shape[0], -1, 1)
    places = jnp.arange(X.shape[-1])[None, None]
    weights = softmax(jnp.where(places < ends, X, -1e6))
    return jnp.where(places < ends, weights, 0) if corrected else weights


class DotProductAttention(nnx.Module):
    """Attention whose scores are scaled dot products of queries and keys (Vaswani et al. 2017; book, section 11.3)."""

    def __init__(self, dropout: float, *, rngs: nnx.Rngs):
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Array, "batch queries value_size"]:
        scores = queries @ keys.swapaxes(1, 2) / math.sqrt(queries.shape[-1])
        weights = masked_softmax(scores, valid_lens)
        self.sow(nnx.Intermediate, "attention_weights", weights)
        return self.dropout(weights) @ values


class AdditiveAttention(nnx.Module):
    """Attention whose scores come from a hidden layer over query and key (Bahdanau et al. 2014; book, section 11.3).

    `query_size` and `key_size` default to `num_hiddens`.
    """

    def __init__(
        self,
        num_hiddens: int,
        dropout: float,
        query_size: int | None = None,
        key_size: int | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.W_k = nn.Linear(key_size or num_hiddens, num_hiddens, bias=False, rngs=rngs)
        self.W_q = nn.Linear(query_size or num_hiddens, num_hiddens, bias=False, rngs=rngs)
        self.w_v = nn.Linear(num_hiddens, 1, bias=False, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Array, "batch queries value_size"]:
        features = jnp.tanh(self.W_q(queries)[:, :, None] + self.W_k(keys)[:, None])
        weights = masked_softmax(self.w_v(features).squeeze(-1), valid_lens)
        self.sow(nnx.Intermediate, "attention_weights", weights)
        return self.dropout(weights) @ values


class MultiHeadAttention(nnx.Module):
    """Dot-product attention in `num_heads` subspaces at once (Vaswani et al. 2017; book, section 11.5).

    The heads are folded into the batch, head fastest. `query_size`, `key_size` and `value_size` default to
    `num_hiddens`. Raises InputError unless `num_heads` divides `num_hiddens`.
    """

    def __init__(
        self,
        num_hiddens: int,
        num_heads: int,
        dropout: float,
        bias: bool = False,
        query_size: int | None = None,
        key_size: int | None = None,
        value_size: int | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        if num_heads < 1 or num_hiddens % num_heads:
            raise InputError(f"{num_hiddens} hidden units for {num_heads} heads; a multiple of the heads is right")
        self.num_heads = num_heads
        self.attention = DotProductAttention(dropout, rngs=rngs)
        self.W_q = nn.Linear(query_size or num_hiddens, num_hiddens, bias, rngs=rngs)
        self.W_k = nn.Linear(key_size or num_hiddens, num_hiddens, bias, rngs=rngs)
        self.W_v = nn.Linear(value_size or num_hiddens, num_hiddens, bias, rngs=rngs)
        self.W_o = nn.Linear(num_hiddens, num_hiddens, bias, rngs=rngs)

    def __call__(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Array, "batch queries hiddens"]:
        return self.attend(queries, self.W_k(keys), self.W_v(values), valid_lens)

    def attend(
        self,
        queries: Queries,
        keys: Float[Array, "batch keys hiddens"],
        values: Float[Array, "batch keys hiddens"],
        valid_lens: ValidLens = None,
    ) -> Float[Array, "batch queries hiddens"]:
        """Attends to keys and values that `W_k` and `W_v` have projected already: (batch, queries, num_hiddens)."""
        if valid_lens is not None:
            valid_lens = jnp.repeat(valid_lens, self.num_heads, axis=0)
        Q, K, V = (self._split(X) for X in (self.W_q(queries), keys, values))
        return self.W_o(self._merge(self.attention(Q, K, V, valid_lens)))

    def _split(self, X: Float[Array, "batch steps hiddens"]) -> Float[Array, "batch_and_heads steps head_size"]:
        batch, steps, _ = X.shape
        X = X.reshape(batch, steps, self.num_heads, -1).swapaxes(1, 2)
        return X.reshape(batch * self.num_heads, steps, -1)

    def _merge(self, X: Float[Array, "batch_and_heads steps head_size"]) -> Float[Array, "batch steps hiddens"]:
        _, steps, head_size = X.shape
        X = X.reshape(-1, self.num_heads, steps, head_size).swapaxes(1, 2)
        return X.reshape(X.shape[0], steps, -1)
