"""An autoencoder of the ratings of items (Sedhain et al. 2015; book, section 21.4)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_weights

Rows = Float[Tensor, "items users"]


class AutoRec(nn.Module):
    """The ratings of an item by all users, out of those that are known, 0 for each that is not (section 21.4)."""

    def __init__(self, num_hidden: int, num_users: int, dropout: float = 0.05):
        super().__init__()
        self.encoder = nn.Linear(num_users, num_hidden)
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.Linear(num_hidden, num_users)
        init_weights(self, partial(nn.init.normal_, std=0.01))

    def forward(self, input: Rows) -> Rows:
        """Returns ratings of all users; in training 0 for those that are not known."""
        ratings = self.decoder(self.dropout(torch.sigmoid(self.encoder(input))))
        return ratings * torch.sign(input) if self.training else ratings
