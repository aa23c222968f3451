"""Convolutions over the items that a user has rated last (Tang and Wang 2018; book, section 21.7)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import init_tables, init_weights, normal, zero_biases


class Caser(nnx.Module):
    """Scores of the next item, from an image of L x num_factors, the last L items, and from the user (section 21.7).

    Tables and weights start from N(0, 0.01), all biases from 0.

    L:       the number of items
    d:       channels of the horizontal convolutions, one of each height from 1 to L
    d_prime: channels of the vertical convolution
    """

    def __init__(
        self,
        num_factors: int,
        num_users: int,
        num_items: int,
        L: int = 5,
        d: int = 16,
        d_prime: int = 4,
        drop_ratio: float = 0.05,
        *,
        rngs: nnx.Rngs,
    ):
        self.P = nn.Embedding(num_users, num_factors, rngs=rngs)
        self.Q = nn.Embedding(num_items, num_factors, rngs=rngs)
        self.conv_v = nn.Conv2d(1, d_prime, (L, 1), rngs=rngs)
        self.conv_h = nn.Sequential(*(nn.Conv2d(1, d, (i + 1, num_factors), rngs=rngs) for i in range(L)))
        self.fc = nn.Sequential(nn.Linear(d_prime * num_factors + d * L, num_factors, rngs=rngs), jax.nn.relu)
        self.Q_prime = nn.Embedding(num_items, 2 * num_factors, rngs=rngs)
        self.b = nn.Embedding(num_items, 1, rngs=rngs)
        self.dropout = nnx.Dropout(drop_ratio, rngs=rngs)
        init_tables(self, normal(std=0.01), rngs=rngs)
        init_weights(self, normal(std=0.01), rngs=rngs)
        zero_biases(self)

    def __call__(
        self, user_id: Int[Array, " batch"], seq: Int[Array, "batch L"], item_id: Int[Array, "batch *items"]
    ) -> Float[Array, "batch *items"]:
        """Returns the score of each item, of which every user may have several."""
        image = self.Q(seq)[..., None]
        vertical = self.conv_v(image)[:, 0].swapaxes(1, 2).reshape(len(seq), -1)  # channels first, as PyTorch has them
        horizontal = [jax.nn.relu(conv(image))[:, :, 0].max(1) for conv in self.conv_h]
        z = self.fc(self.dropout(jnp.concatenate([vertical, *horizontal], 1)))
        state = jnp.concatenate([z, self.P(user_id)], 1)
        if item_id.ndim > 1:
            state = state[:, None]
        return (self.Q_prime(item_id) * state).sum(-1) + self.b(item_id)[..., 0]
