"""Convolutions over the items that a user has rated last (Tang and Wang 2018; book, section 21.7)."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parity.reference.init import init_tables, init_weights, zero_biases


class Caser(nn.Module):
    """Scores of the next item, from an image of L x num_factors, the last L items, and from the user (section 21.7)."""

    def __init__(
        self,
        num_factors: int,
        num_users: int,
        num_items: int,
        L: int = 5,
        d: int = 16,
        d_prime: int = 4,
        drop_ratio: float = 0.05,
    ):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.conv_v = nn.Conv2d(1, d_prime, (L, 1))
        self.conv_h = nn.ModuleList(nn.Conv2d(1, d, (i + 1, num_factors)) for i in range(L))
        self.fc = nn.Sequential(nn.Linear(d_prime * num_factors + d * L, num_factors), nn.ReLU())
        self.Q_prime = nn.Embedding(num_items, 2 * num_factors)
        self.b = nn.Embedding(num_items, 1)
        self.dropout = nn.Dropout(drop_ratio)
        small = partial(nn.init.normal_, std=0.01)
        init_tables(self, small)
        init_weights(self, small)
        zero_biases(self)

    def forward(
        self, user_id: Int[Tensor, " batch"], seq: Int[Tensor, "batch L"], item_id: Int[Tensor, "batch *items"]
    ) -> Float[Tensor, "batch *items"]:
        """Returns the score of each item, of which every user may have several."""
        image = self.Q(seq)[:, None]
        vertical = self.conv_v(image).flatten(1)
        horizontal = [torch.relu(conv(image))[..., 0].amax(dim=2) for conv in self.conv_h]
        z = self.fc(self.dropout(torch.cat([vertical, *horizontal], dim=1)))
        state = torch.cat([z, self.P(user_id)], dim=1)
        if item_id.ndim > 1:
            state = state[:, None]
        return (self.Q_prime(item_id) * state).sum(dim=-1) + self.b(item_id).squeeze(-1)
