"""An autoencoder of the ratings of items (Sedhain et al. 2015; book, section 21.4)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights, normal

Rows = Float[Array, "items users"]


class AutoRec(nnx.Module):
    """The ratings of an item by all users, out of those that are known, 0 for each that is not (section 21.4).

    Weights start from N(0, 0.01), biases as PyTorch has it.
    """

    def __init__(self, num_hidden: int, num_users: int, dropout: float = 0.05, *, rngs: nnx.Rngs):
        self.encoder = nn.Linear(num_users, num_hidden, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.decoder = nn.Linear(num_hidden, num_users, rngs=rngs)
        init_weights(self, normal(std=0.01), rngs=rngs)

    def __call__(self, input: Rows) -> Rows:
        """Returns ratings of all users; in training 0 for those that are not known."""
        ratings = self.decoder(self.dropout(jax.nn.sigmoid(self.encoder(input))))
        return ratings if self.dropout.deterministic else ratings * jnp.sign(input)
