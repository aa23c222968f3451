"""Nearest words and analogies by the cosines of word vectors (book, sections 15.4.3 and 15.7.2)."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError

EPS = 1e-9

Vectors = Float[Array, "words embed"]
Vector = Float[Array, " embed"]


class Neighbours(NamedTuple):
    """The rows nearest to a vector, the nearest first, and their cosines."""

    rows: Int[Array, " k"]
    cosines: Float[Array, " k"]


def cosines(vectors: Vectors, x: Vector) -> Float[Array, " words"]:
    """Returns the cosine of every row with x; 1e-9 in the root of the product of the squares (section 15.4.3)."""
    return vectors @ x / jnp.sqrt((vectors**2).sum(1) * (x**2).sum() + EPS)


def cosines_of_rows(vectors: Vectors, x: Vector) -> Float[Array, " words"]:
    """Returns the cosine of every row with x; 1e-9 in the root of a row's square alone (section 15.7.2)."""
    return vectors @ x / (jnp.sqrt((vectors**2).sum(1) + EPS) * jnp.sqrt((x**2).sum()))


def knn(vectors: Vectors, x: Vector, k: int) -> Neighbours:
    """Returns the `k` rows nearest to x, x itself among them where it is a row (section 15.7.2).

    Raises: InputError for k below 1 or above the number of rows, and for a vector of another length than theirs.
    """
    if x.shape != vectors.shape[1:]:
        raise InputError(
            f"a vector of shape {x.shape} among rows of {vectors.shape[1]} numbers; as long as they is right"
        )
    return _largest(cosines_of_rows(vectors, x), k)


def nearest(vectors: Vectors, row: int, k: int) -> Neighbours:
    """Returns the `k` rows nearest to a row, without the first, which is the row itself (section 15.4.3).

    Raises: InputError for k below 1, or as many as there are rows, and for a row that is not there.
    """
    rows, values = _largest(cosines(vectors, _row(vectors, row)), k, 1)
    return Neighbours(rows[1:], values[1:])


def analogy(vectors: Vectors, a: int, b: int, c: int) -> Neighbours:
    """Returns the row nearest to b - a + c, for "a is to b as c is to ..." (section 15.7.2).

    The rows a, b and c may be the answer, too.

    Raises: InputError for a row that is not there.
    """
    first, second, third = (_row(vectors, row) for row in (a, b, c))
    return knn(vectors, second - first + third, 1)


def _row(vectors: Vectors, row: int) -> Vector:
    """Returns a row; JAX itself would take the last one for any number above."""
    if not 0 <= row < len(vectors):
        raise InputError(f"row {row} of {len(vectors)} word vectors; one from 0 to {len(vectors) - 1} is right")
    return vectors[row]


def _largest(values: Float[Array, " words"], k: int, first: int = 0) -> Neighbours:
    """Returns the largest `k` values, and `first` before them."""
    if not 1 <= k <= len(values) - first:
        raise InputError(f"{k} of {len(values)} words cannot be the nearest; give a number from 1 on that fits")
    best, rows = lax.top_k(values, k + first)
    return Neighbours(rows, best)
