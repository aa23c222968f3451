"""Sentiment by convolutions over words (Kim 2014; book, section 16.3)."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import init, nn
from d2l_jax.errors import InputError


def corr1d(X: Float[Array, " n"], K: Float[Array, " k"]) -> Float[Array, " m"]:
    """The cross-correlation of a sequence with a kernel, without padding: n - k + 1 numbers (section 16.3)."""
    return jnp.correlate(X, K, mode="valid")


def corr1d_multi_in(X: Float[Array, "channels n"], K: Float[Array, "channels k"]) -> Float[Array, " m"]:
    """The sum over channels of the cross-correlations, each with a kernel of its channel (section 16.3)."""
    return sum((corr1d(x, k) for x, k in zip(X[1:], K[1:], strict=True)), corr1d(X[0], K[0]))


class TextCNN(nnx.Module):
    """Convolutions of several widths over words, each pooled over the whole text, then scored (section 16.3).

    Every word has two vectors: one that is trained, and one in `constant_embedding` that is not. Pooling is the mean
    over time, as the first edition's code has it. Weights of convolutions and scores start from Xavier's uniform
    distribution.

    second_edition: the maximum over time, as Kim's and the second edition's.

    Shapes: tokens (batch, steps) -> scores (batch, num_classes). Raises InputError where a kernel is wider than the
    text, or kernels and channels differ in number.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        kernel_sizes: Sequence[int],
        num_channels: Sequence[int],
        num_classes: int = 2,
        second_edition: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        if len(kernel_sizes) != len(num_channels) or not kernel_sizes:
            raise InputError(f"TextCNN: kernels {tuple(kernel_sizes)} for channels {tuple(num_channels)}")
        self.kernel_sizes = tuple(kernel_sizes)
        self.pool = jnp.max if second_edition else jnp.mean
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.constant_embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.decoder = nn.Linear(sum(num_channels), num_classes, rngs=rngs)
        self.convs = nnx.List(
            nn.Conv1d(2 * embed_size, channels, size, rngs=rngs) for channels, size in zip(num_channels, kernel_sizes)
        )
        init.init_weights(self, init.xavier_uniform(), rngs=rngs)

    def __call__(self, inputs: Int[Array, "batch steps"]) -> Float[Array, "batch classes"]:
        if inputs.shape[1] < max(self.kernel_sizes):
            raise InputError(f"a text of {inputs.shape[1]} steps where {max(self.kernel_sizes)} or more are right")
        words = jnp.concatenate([self.embedding(inputs), self.constant_embedding(inputs)], axis=2)
        pooled = [nnx.relu(self.pool(conv(words), axis=1)) for conv in self.convs]
        return self.decoder(self.dropout(jnp.concatenate(pooled, axis=1)))
