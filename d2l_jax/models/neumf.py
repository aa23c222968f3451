"""Neural matrix factorisation (He et al. 2017; book, section 21.6)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import init_tables, init_weights, normal


class NeuMF(nnx.Module):
    """Scores of items by a product of vectors, and by an MLP of two others (section 21.6).

    Tables and weights start from N(0, 0.01), the MLP's biases as PyTorch has it.

    first_edition: the score is a sigmoid of the logit
    """

    def __init__(
        self,
        num_factors: int,
        num_users: int,
        num_items: int,
        nums_hiddens: Sequence[int],
        first_edition: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.P = nn.Embedding(num_users, num_factors, rngs=rngs)
        self.Q = nn.Embedding(num_items, num_factors, rngs=rngs)
        self.U = nn.Embedding(num_users, num_factors, rngs=rngs)
        self.V = nn.Embedding(num_items, num_factors, rngs=rngs)
        widths = (2 * num_factors, *nums_hiddens)
        layers = [nn.Linear(*sizes, rngs=rngs) for sizes in zip(widths, nums_hiddens)]
        self.mlp = nn.Sequential(*(each for layer in layers for each in (layer, jax.nn.relu)))
        self.prediction_layer = nn.Linear(num_factors + widths[-1], 1, bias=False, rngs=rngs)
        self.first_edition = first_edition
        init_tables(self, normal(std=0.01), rngs=rngs)
        init_weights(self, normal(std=0.01), rngs=rngs)

    def __call__(self, user_id: Int[Array, " batch"], item_id: Int[Array, "batch *items"]) -> Float[Array, "..."]:
        """Returns the logit of each item, (batch, 1), or (batch, items, 1) where every user has several."""
        if item_id.ndim > 1:
            user_id = user_id[:, None]
        product = self.P(user_id) * self.Q(item_id)
        items = self.V(item_id)
        users = jnp.broadcast_to(self.U(user_id), items.shape)
        hidden = self.mlp(jnp.concatenate([users, items], -1))
        logit = self.prediction_layer(jnp.concatenate([product, hidden], -1))
        return jax.nn.sigmoid(logit) if self.first_edition else logit
