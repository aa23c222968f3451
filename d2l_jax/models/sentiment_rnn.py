"""Sentiment by a bidirectional LSTM (book, section 16.2)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import init, nn


class BiRNN(nnx.Module):
    """A bidirectional LSTM over a text, whose outputs at the first and at the last step are scored (section 16.2).

    Padding is read like any word. Weights start from Xavier's uniform distribution, biases as PyTorch's.
    Shapes: tokens (batch, steps) -> scores (batch, num_classes).
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        num_classes: int = 2,
        *,
        rngs: nnx.Rngs,
    ):
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.encoder = nn.LSTM(embed_size, num_hiddens, num_layers, bidirectional=True, rngs=rngs)
        self.decoder = nn.Linear(4 * num_hiddens, num_classes, rngs=rngs)
        draw = init.xavier_uniform()
        for name, weight in vars(self.encoder).items():
            if name.startswith("weight"):
                weight[...] = draw(rngs.params(), weight.shape, weight.dtype)
        init.init_weights(self.decoder, init.xavier_uniform(), rngs=rngs)

    def __call__(self, inputs: Int[Array, "batch steps"]) -> Float[Array, "batch classes"]:
        outputs, _ = self.encoder(self.embedding(inputs.T))
        return self.decoder(jnp.concatenate([outputs[0], outputs[-1]], axis=1))
