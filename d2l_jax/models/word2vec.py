"""Word vectors from contexts: skip-gram and CBOW (Mikolov et al. 2013), GloVe, and the subwords of fastText."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import xavier_uniform

Vectors = Float[Array, "words embed"]


class SkipGram(nn.Sequential):
    """Skip-gram: the vector of a centre word times those of other words (sections 15.1 and 15.4).

    The layers are two tables, "0" for centre words and "1" for the others, started as Xavier has it.

    num_nodes: rows of the second table; None is `vocab_size`. With hierarchical softmax they are the inner nodes of a
               tree, `vocab_size - 1` (section 15.2.2)
    """

    def __init__(self, vocab_size: int, embed_size: int, num_nodes: int | None = None, *, rngs: nnx.Rngs):
        rows = vocab_size if num_nodes is None else num_nodes
        super().__init__(_table(vocab_size, embed_size, rngs), _table(rows, embed_size, rngs))

    def __call__(  # type: ignore[override]
        self, center: Int[Array, "batch 1"], contexts_and_negatives: Int[Array, "batch width"]
    ) -> Float[Array, "batch 1 width"]:
        """Returns the products, which are the logits of their labels."""
        v = self[0](center)
        u = self[1](contexts_and_negatives)
        return v @ u.swapaxes(1, 2)

    def word_vectors(self) -> Vectors:
        """Returns the vectors of the words as centres."""
        return self[0].embedding[...]


class HierarchicalSkipGram(SkipGram):
    """Skip-gram with hierarchical softmax: "1" holds the inner nodes of a binary tree of the words (section 15.2.2)."""

    def __init__(self, vocab_size: int, embed_size: int, *, rngs: nnx.Rngs):
        super().__init__(vocab_size, embed_size, vocab_size - 1, rngs=rngs)


class CBOW(nn.Sequential):
    """Continuous bag of words: the mean vector of the contexts times those of centre words (section 15.1.4).

    The layers are two tables, "0" for contexts and "1" for centre words, started as Xavier has it.
    """

    def __init__(self, vocab_size: int, embed_size: int, *, rngs: nnx.Rngs):
        super().__init__(_table(vocab_size, embed_size, rngs), _table(vocab_size, embed_size, rngs))

    def __call__(  # type: ignore[override]
        self,
        contexts: Int[Array, "batch contexts"],
        lengths: Int[Array, " batch"],
        centers_and_negatives: Int[Array, "batch width"],
    ) -> Float[Array, "batch 1 width"]:
        """Returns the products, which are the logits of their labels.

        lengths: how many of the contexts count, 1 or more
        """
        v = _masked(self[0](contexts), lengths).sum(1)
        v = v / lengths[:, None].astype(v.dtype)
        u = self[1](centers_and_negatives)
        return v[:, None] @ u.swapaxes(1, 2)

    def word_vectors(self) -> Vectors:
        """Returns the vectors of the words as contexts."""
        return self[0].embedding[...]


class GloVe(nnx.Module):
    """GloVe: the product of two words' vectors and their biases, for the logarithm of a count (section 15.5)."""

    def __init__(self, vocab_size: int, embed_size: int, *, rngs: nnx.Rngs):
        self.center = _table(vocab_size, embed_size, rngs)
        self.context = _table(vocab_size, embed_size, rngs)
        self.center_bias = _table(vocab_size, 1, rngs)
        self.context_bias = _table(vocab_size, 1, rngs)

    def __call__(self, center: Int[Array, " pairs"], context: Int[Array, " pairs"]) -> Float[Array, " pairs"]:
        """Returns u_j . v_i + b_i + c_j for the centre i and the context j of each pair."""
        products = (self.center(center) * self.context(context)).sum(-1)
        return products + self.center_bias(center)[:, 0] + self.context_bias(context)[:, 0]

    def word_vectors(self) -> Vectors:
        """Returns the sums of the words' vectors as centres and as contexts."""
        return self.center.embedding[...] + self.context.embedding[...]


class SubwordEmbedding(nnx.Module):
    """fastText's vectors of words: the sum of the vectors of a word's subwords (section 15.6.1).

    Words that were never seen have one, too. `d2l_jax.data.subwords` tells a word's subwords.
    """

    def __init__(self, num_subwords: int, embed_size: int, *, rngs: nnx.Rngs):
        self.subwords = nn.Embedding(num_subwords, embed_size, rngs=rngs)

    def __call__(
        self, subwords: Int[Array, "words width"], lengths: Int[Array, " words"]
    ) -> Float[Array, "words embed"]:
        """Returns the sum over the first `lengths` subwords of each word."""
        return _masked(self.subwords(subwords), lengths).sum(1)


def _table(rows: int, embed_size: int, rngs: nnx.Rngs) -> nn.Embedding:
    table = nn.Embedding(rows, embed_size, rngs=rngs)
    table.embedding[...] = xavier_uniform()(rngs.params(), (rows, embed_size), table.embedding[...].dtype)
    return table


def _masked(
    vectors: Float[Array, "batch width embed"], lengths: Int[Array, " batch"]
) -> Float[Array, "batch width embed"]:
    """Returns the vectors with 0 in the place of those that do not count."""
    counted = jnp.arange(vectors.shape[1], dtype=lengths.dtype)[None] < lengths[:, None]
    return jnp.where(counted[..., None], vectors, 0)
