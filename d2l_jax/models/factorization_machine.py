"""Factorisation machines of fields, alone and beside an MLP (Rendle 2010; Guo et al. 2017; book, 21.9 and 21.10)."""

from collections.abc import Sequence

import jax
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import init_tables, init_weights, xavier_uniform

Numbers = Int[Array, "batch fields"]
Logits = Float[Array, "batch 1"]


class FM(nnx.Module):
    """A linear term of every field's value, and the products of the vectors of each two of them (section 21.9).

    Tables and weights start from Xavier's uniform distribution.

    field_dims:    how many numbers each field has; those of a field come behind those of the fields before
    first_edition: the output is a sigmoid of the logit, which the loss takes for a logit once more
    """

    def __init__(self, field_dims: Sequence[int], num_factors: int, first_edition: bool = False, *, rngs: nnx.Rngs):
        self.embedding = nn.Embedding(sum(field_dims), num_factors, rngs=rngs)
        self.fc = nn.Embedding(sum(field_dims), 1, rngs=rngs)
        self.linear_layer = nn.Linear(1, 1, rngs=rngs)
        self.first_edition = first_edition
        init_tables(self, xavier_uniform(), rngs=rngs)
        init_weights(self, xavier_uniform(), rngs=rngs)

    def __call__(self, x: Numbers) -> Logits:
        """Returns the logit of a click."""
        logit = _factored(self, x, self.embedding(x))
        return jax.nn.sigmoid(logit) if self.first_edition else logit


class DeepFM(nnx.Module):
    """A factorisation machine and an MLP of the same vectors, whose logits are added (section 21.10).

    The options are those of `FM`.
    """

    def __init__(
        self,
        field_dims: Sequence[int],
        num_factors: int,
        mlp_dims: Sequence[int],
        drop_rate: float = 0.1,
        first_edition: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.embedding = nn.Embedding(sum(field_dims), num_factors, rngs=rngs)
        self.fc = nn.Embedding(sum(field_dims), 1, rngs=rngs)
        self.linear_layer = nn.Linear(1, 1, rngs=rngs)
        widths = (len(field_dims) * num_factors, *mlp_dims)
        layers = []
        for sizes in zip(widths, mlp_dims):
            layers += [nn.Linear(*sizes, rngs=rngs), jax.nn.relu, nnx.Dropout(drop_rate, rngs=rngs)]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-1], 1, rngs=rngs))
        self.first_edition = first_edition
        init_tables(self, xavier_uniform(), rngs=rngs)
        init_weights(self, xavier_uniform(), rngs=rngs)

    def __call__(self, x: Numbers) -> Logits:
        """Returns the logit of a click."""
        vectors = self.embedding(x)
        logit = _factored(self, x, vectors) + self.mlp(vectors.reshape(len(x), -1))
        return jax.nn.sigmoid(logit) if self.first_edition else logit


def _factored(model: FM | DeepFM, x: Numbers, vectors: Float[Array, "batch fields factors"]) -> Logits:
    """Returns the linear term and half of (the square of the sum of the vectors - the sum of their squares)."""
    pairs = vectors.sum(1) ** 2 - (vectors**2).sum(1)
    return model.linear_layer(model.fc(x).sum(1)) + 0.5 * pairs.sum(1, keepdims=True)
