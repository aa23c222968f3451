"""Distances between two sets of vectors, such as the features of real and of generated images.

In NumPy and float64: the square root of a product of covariances loses half of the digits.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from d2l_jax.errors import InputError

Vectors = Float[np.ndarray, "examples features"]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def frechet_distance(X: Vectors, Y: Vectors) -> float:
    """Returns the Frechet distance of the normal distributions that fit the two sets (FID; Heusel et al. 2017).

    That is |mean X - mean Y|^2 + trace(A + B - 2 (A B)^(1/2)) of the covariances A and B, over n - 1.
    Raises InputError for fewer than two vectors, or sets of different width.
    """
    X, Y = _checked(X, Y)
    A, B = (np.atleast_2d(np.cov(Z, rowvar=False)) for Z in (X, Y))
    values, vectors = np.linalg.eigh(A)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # A B has the eigenvalues of the symmetric root B root, which are not negative but by rounding.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum()
    return float(((X.mean(0) - Y.mean(0)) ** 2).sum() + np.trace(A) + np.trace(B) - 2 * shared)


def kernel_distance(X: Vectors, Y: Vectors, kernel: Kernel | None = None) -> float:
    """Returns the squared maximum mean discrepancy of the two sets, without bias (KID; Binkowski et al. 2018).

    It may be below 0. Of each set only pairs of different vectors count.

    kernel: (vectors, vectors) -> a number for each pair; None is KID's, (x y / features + 1)^3
    Raises InputError for fewer than two vectors, or sets of different width.
    """
    X, Y = _checked(X, Y)
    of = kernel or cubic
    within = [(K.sum() - np.trace(K)) / (len(K) * (len(K) - 1)) for K in (of(X, X), of(Y, Y))]
    return float(sum(within) - 2 * of(X, Y).mean())


def cubic(X: Vectors, Y: Vectors) -> Float[np.ndarray, "first second"]:
    """Returns (x y / features + 1)^3 of every pair."""
    return (X @ Y.T / X.shape[1] + 1) ** 3


def bells(X: Vectors, Y: Vectors, scales: tuple[float, ...] = (0.5, 1.0, 2.0)) -> Float[np.ndarray, "first second"]:
    """Returns the sum of exp(-|x - y|^2 / (2 scale^2)) over some scales, of every pair."""
    squared = ((X[:, None] - Y[None]) ** 2).sum(-1)
    return np.sum([np.exp(-squared / (2 * scale**2)) for scale in scales], axis=0)


def _checked(X: Vectors, Y: Vectors) -> tuple[Vectors, Vectors]:
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    if X.ndim != 2 or Y.ndim != 2 or X.shape[1] != Y.shape[1] or min(len(X), len(Y)) < 2:
        raise InputError(f"sets of shapes {X.shape} and {Y.shape}; two or more vectors each, of one width, are right")
    return X, Y
