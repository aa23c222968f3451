"""Factorisation machines of fields, alone and beside an MLP (Rendle 2010; Guo et al. 2017; book, 21.9 and 21.10)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parity.reference.init import init_tables, init_weights

Numbers = Int[Tensor, "batch fields"]
Logits = Float[Tensor, "batch 1"]


class FM(nn.Module):
    """A linear term of every field's value, and the products of the vectors of each two of them (section 21.9)."""

    def __init__(self, field_dims: Sequence[int], num_factors: int, first_edition: bool = False):
        super().__init__()
        self.embedding = nn.Embedding(sum(field_dims), num_factors)
        self.fc = nn.Embedding(sum(field_dims), 1)
        self.linear_layer = nn.Linear(1, 1)
        self.first_edition = first_edition
        init_tables(self, nn.init.xavier_uniform_)
        init_weights(self, nn.init.xavier_uniform_)

    def forward(self, x: Numbers) -> Logits:
        """Returns the logit of a click."""
        logit = _factored(self, x, self.embedding(x))
        return torch.sigmoid(logit) if self.first_edition else logit


class DeepFM(nn.Module):
    """A factorisation machine and an MLP of the same vectors, whose logits are added (section 21.10)."""

    def __init__(
        self,
        field_dims: Sequence[int],
        num_factors: int,
        mlp_dims: Sequence[int],
        drop_rate: float = 0.1,
        first_edition: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(sum(field_dims), num_factors)
        self.fc = nn.Embedding(sum(field_dims), 1)
        self.linear_layer = nn.Linear(1, 1)
        widths = (len(field_dims) * num_factors, *mlp_dims)
        layers: list[nn.Module] = []
        for sizes in zip(widths, mlp_dims):
            layers += [nn.Linear(*sizes), nn.ReLU(), nn.Dropout(drop_rate)]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        self.first_edition = first_edition
        init_tables(self, nn.init.xavier_uniform_)
        init_weights(self, nn.init.xavier_uniform_)

    def forward(self, x: Numbers) -> Logits:
        """Returns the logit of a click."""
        vectors = self.embedding(x)
        logit = _factored(self, x, vectors) + self.mlp(vectors.flatten(1))
        return torch.sigmoid(logit) if self.first_edition else logit


def _factored(model: FM | DeepFM, x: Numbers, vectors: Float[Tensor, "batch fields factors"]) -> Logits:
    pairs = vectors.sum(dim=1) ** 2 - (vectors**2).sum(dim=1)
    return model.linear_layer(model.fc(x).sum(dim=1)) + 0.5 * pairs.sum(dim=1, keepdim=True)
