"""Neural matrix factorisation (He et al. 2017; book, section 21.6)."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parity.reference.init import init_tables, init_weights


class NeuMF(nn.Module):
    """Scores of items by a product of vectors, and by an MLP of two others (section 21.6)."""

    def __init__(
        self,
        num_factors: int,
        num_users: int,
        num_items: int,
        nums_hiddens: Sequence[int],
        first_edition: bool = False,
    ):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.U = nn.Embedding(num_users, num_factors)
        self.V = nn.Embedding(num_items, num_factors)
        widths = (2 * num_factors, *nums_hiddens)
        layers = [nn.Linear(*sizes) for sizes in zip(widths, nums_hiddens)]
        self.mlp = nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())))
        self.prediction_layer = nn.Linear(num_factors + widths[-1], 1, bias=False)
        self.first_edition = first_edition
        small = partial(nn.init.normal_, std=0.01)
        init_tables(self, small)
        init_weights(self, small)

    def forward(self, user_id: Int[Tensor, " batch"], item_id: Int[Tensor, "batch *items"]) -> Float[Tensor, "..."]:
        """Returns the logit of each item, (batch, 1), or (batch, items, 1) where every user has several."""
        if item_id.ndim > 1:
            user_id = user_id[:, None]
        product = self.P(user_id) * self.Q(item_id)
        items = self.V(item_id)
        users = self.U(user_id).expand(items.shape)
        hidden = self.mlp(torch.cat([users, items], dim=-1))
        logit = self.prediction_layer(torch.cat([product, hidden], dim=-1))
        return torch.sigmoid(logit) if self.first_edition else logit
