"""The position of a token as sines and cosines (book, section 11.6)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Sequences = Float[Tensor, "batch steps hiddens"]


class PositionalEncoding(nn.Module):
    """Adds sin and cos of i / 10000^(2j/d) to units 2j and 2j + 1 of step i (Vaswani et al. 2017; book, section 11.6).

    `offset` is the position of the first step. The table P is a plain tensor in float64: no state_dict has it.
    """

    def __init__(self, num_hiddens: int, dropout: float, max_len: int = 1000):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        rates = 10000 ** (torch.arange(0, num_hiddens, 2, dtype=torch.float64) / num_hiddens)
        angles = torch.arange(max_len, dtype=torch.float64)[:, None] / rates
        self.P = torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(1, max_len, num_hiddens)

    def forward(self, X: Sequences, offset: int = 0) -> Sequences:
        return self.dropout(X + self.P[:, offset : offset + X.shape[1]].to(X))
