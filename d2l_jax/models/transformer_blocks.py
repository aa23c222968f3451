"""The parts of the Transformer (Vaswani et al. 2017; book, section 11.7)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.errors import one_of
from d2l_jax.models.attention import MultiHeadAttention, ValidLens

Sequences = Float[Array, "batch steps hiddens"]
Sources = Float[Array, "batch sources hiddens"]
ACTIVATIONS = {"relu": nnx.relu, "gelu": partial(jax.nn.gelu, approximate=False)}


class PositionWiseFFN(nnx.Module):
    """An MLP with a hidden layer, applied to every step alike (book, section 11.7).

    `num_inputs` defaults to `ffn_num_outputs`. `activation` is "relu", or "gelu" for the exact one, which BERT has
    outside of the book; InputError for another.
    """

    def __init__(
        self,
        ffn_num_hiddens: int,
        ffn_num_outputs: int,
        num_inputs: int | None = None,
        activation: str = "relu",
        *,
        rngs: nnx.Rngs,
    ):
        if activation not in ACTIVATIONS:
            raise one_of("activation", activation, list(ACTIVATIONS))
        self.dense1 = nn.Linear(num_inputs or ffn_num_outputs, ffn_num_hiddens, rngs=rngs)
        self.dense2 = nn.Linear(ffn_num_hiddens, ffn_num_outputs, rngs=rngs)
        self.activation = activation

    def __call__(self, X: Float[Array, "batch steps inputs"]) -> Float[Array, "batch steps outputs"]:
        return self.dense2(ACTIVATIONS[self.activation](self.dense1(X)))


class AddNorm(nnx.Module):
    """The sum of X and Y, with dropout on Y, then layer normalisation (book, section 11.7).

    `eps` is added to the variance.
    """

    def __init__(self, norm_shape: int, dropout: float, eps: float = 1e-5, *, rngs: nnx.Rngs):
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.ln = nn.LayerNorm(norm_shape, eps)

    def __call__(self, X: Sequences, Y: Sequences) -> Sequences:
        return self.ln(self.dropout(Y) + X)


class TransformerEncoderBlock(nnx.Module):
    """An encoder block: self-attention and a position-wise network, each with `AddNorm` (book, section 11.7)."""

    def __init__(
        self,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        dropout: float,
        use_bias: bool = False,
        activation: str = "relu",
        eps: float = 1e-5,
        *,
        rngs: nnx.Rngs,
    ):
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias, rngs=rngs)
        self.addnorm1 = AddNorm(num_hiddens, dropout, eps, rngs=rngs)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens, activation=activation, rngs=rngs)
        self.addnorm2 = AddNorm(num_hiddens, dropout, eps, rngs=rngs)

    def __call__(self, X: Sequences, valid_lens: ValidLens = None) -> Sequences:
        Y = self.addnorm1(X, self.attention(X, X, X, valid_lens))
        return self.addnorm2(Y, self.ffn(Y))


class Cache(NamedTuple):
    """The projected keys and values of the steps so far, in arrays of fixed shape with room for `cache_len` steps."""

    keys: Float[Array, "batch cache_len hiddens"]
    values: Float[Array, "batch cache_len hiddens"]
    length: Int[Array, ""]

    @classmethod
    def empty(cls, enc_outputs: Sources, cache_len: int) -> "Cache":
        """A cache for `cache_len` steps, without any yet; batch, units and dtype are those of `enc_outputs`."""
        zeros = jnp.zeros((enc_outputs.shape[0], cache_len, enc_outputs.shape[2]), enc_outputs.dtype)
        return cls(zeros, zeros, jnp.zeros((), jnp.int32))

    def append(self, keys: Sequences, values: Sequences) -> "Cache":
        """The cache with further steps; steps beyond `cache_len` overwrite the last ones."""
        put = partial(lax.dynamic_update_slice_in_dim, start_index=self.length, axis=1)
        return Cache(put(self.keys, keys), put(self.values, values), self.length + keys.shape[1])


PastInputs = Float[Array, "batch _ hiddens"]
Past = Cache | PastInputs | None


def steps_in(past: Past) -> int | Int[Array, ""]:
    """The number of steps in the past of a block."""
    if isinstance(past, Cache):
        return past.length
    return 0 if past is None else past.shape[1]


class TransformerDecoderBlock(nnx.Module):
    """A decoder block: self-attention, attention to the source and a position-wise network (book, section 11.7).

    `AddNorm` follows each part. Calls take and return the past of the block: None, its inputs so far, as the book
    concatenates them, or a `Cache`. The book masks later steps only in training, so that in evaluation every step
    attends to all steps of a call; `corrected` masks later steps always.
    """

    def __init__(
        self,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        dropout: float,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.attention1 = MultiHeadAttention(num_hiddens, num_heads, dropout, rngs=rngs)
        self.addnorm1 = AddNorm(num_hiddens, dropout, rngs=rngs)
        self.attention2 = MultiHeadAttention(num_hiddens, num_heads, dropout, rngs=rngs)
        self.addnorm2 = AddNorm(num_hiddens, dropout, rngs=rngs)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens, rngs=rngs)
        self.addnorm3 = AddNorm(num_hiddens, dropout, rngs=rngs)
        self.corrected = corrected
        self.deterministic = False

    def __call__(
        self, X: Sequences, enc_outputs: Sources, enc_valid_lens: ValidLens = None, past: Past = None
    ) -> tuple[Sequences, Past]:
        X2, past = self._self_attention(X, past)
        Y = self.addnorm1(X, X2)
        Z = self.addnorm2(Y, self.attention2(Y, enc_outputs, enc_outputs, enc_valid_lens))
        return self.addnorm3(Z, self.ffn(Z)), past

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets the mode of the module; `nnx.view`, `train()` and `eval()` call it."""
        if deterministic is not None:
            self.deterministic = deterministic

    def _self_attention(self, X: Sequences, past: Past) -> tuple[Sequences, Past]:
        batch, steps, _ = X.shape
        causal = self.corrected or not self.deterministic
        ends = jnp.arange(1, steps + 1) if causal else jnp.full(steps, steps)
        visible = jnp.broadcast_to(jnp.asarray(steps_in(past), int) + ends, (batch, steps))
        if isinstance(past, Cache):
            past = past.append(self.attention1.W_k(X), self.attention1.W_v(X))
            return self.attention1.attend(X, past.keys, past.values, visible), past
        inputs = X if past is None else jnp.concatenate([past, X], axis=1)
        return self.attention1(X, inputs, inputs, visible if causal else None), inputs
