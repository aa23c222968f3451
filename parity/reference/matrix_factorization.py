"""Matrix factorisation with biases (Koren et al. 2009; book, section 21.3)."""

from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn

from parity.reference.init import init_tables

Numbers = Int[Tensor, " batch"]


class MF(nn.Module):
    """A rating as the product of a user's and an item's vector, and the biases of both (section 21.3)."""

    def __init__(self, num_factors: int, num_users: int, num_items: int, first_edition: bool = False):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.user_bias = nn.Embedding(num_users, 1)
        self.item_bias = nn.Embedding(num_items, 1)
        init_tables(self, partial(nn.init.normal_, std=0.01))
        if not first_edition:
            nn.init.zeros_(self.user_bias.weight)
            nn.init.zeros_(self.item_bias.weight)

    def forward(self, user_id: Numbers, item_id: Numbers) -> Float[Tensor, " batch"]:
        """Returns p_u . q_i + b_u + b_i."""
        products = (self.P(user_id) * self.Q(item_id)).sum(dim=-1)
        return products + self.user_bias(user_id).squeeze(-1) + self.item_bias(item_id).squeeze(-1)
