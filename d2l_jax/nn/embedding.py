"""Flax's embedding, started as PyTorch starts it."""

from flax import nnx


class Embedding(nnx.Embed):
    """`nnx.Embed` from N(0, 1), in the precision of its table: stock, one that is loaded in float64 is rounded.

    Shapes: integers of any shape -> the same with (embedding_dim,) behind; an id beyond the table gives NaN.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rngs: nnx.Rngs):
        super().__init__(num_embeddings, embedding_dim, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.dtype = None
