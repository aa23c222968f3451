"""Matrix factorisation with biases (Koren et al. 2009; book, section 21.3)."""

from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import init_tables, normal, zeros

Numbers = Int[Array, " batch"]


class MF(nnx.Module):
    """A rating as the product of a user's and an item's vector, and the biases of both (section 21.3).

    first_edition: the biases start from N(0, 0.01) like the vectors, not from 0
    """

    def __init__(
        self, num_factors: int, num_users: int, num_items: int, first_edition: bool = False, *, rngs: nnx.Rngs
    ):
        self.P = nn.Embedding(num_users, num_factors, rngs=rngs)
        self.Q = nn.Embedding(num_items, num_factors, rngs=rngs)
        self.user_bias = nn.Embedding(num_users, 1, rngs=rngs)
        self.item_bias = nn.Embedding(num_items, 1, rngs=rngs)
        init_tables(self, normal(std=0.01), rngs=rngs)
        if not first_edition:
            for bias in (self.user_bias, self.item_bias):
                init_tables(bias, zeros, rngs=rngs)

    def __call__(self, user_id: Numbers, item_id: Numbers) -> Float[Array, " batch"]:
        """Returns p_u . q_i + b_u + b_i; an id beyond the tables gives NaN."""
        products = (self.P(user_id) * self.Q(item_id)).sum(-1)
        return products + self.user_bias(user_id)[:, 0] + self.item_bias(item_id)[:, 0]
