"""Distances between two sets of vectors, such as the features of real and of generated images.

In NumPy and float64: what is small is a difference of large numbers.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
from jaxtyping import Float

from d2l_jax.errors import InputError

Vectors = Float[np.ndarray, "examples features"]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
MOST = 1e50  # the sixth power, of which KID's kernel is made, fits into float64


def frechet_distance(X: Vectors, Y: Vectors) -> float:
    """Returns the Frechet distance of the normal distributions that fit the two sets (FID; Heusel et al. 2017).

    That is |mean X - mean Y|^2 + trace(A + B - 2 (A B)^(1/2)) of the covariances A and B, over n - 1.
    Raises InputError for fewer than two vectors, sets of different width, or what is no number from -1e50 to 1e50.
    """
    X, Y = _checked(X, Y)
    # With A = R^T R and B = S^T S the trace of (A B)^(1/2) is the sum of the singular values of R S^T: no root of what
    # rounding has left is taken, and fewer vectors than features lose no digit.
    R, S = (cast(np.ndarray, np.linalg.qr((Z - Z.mean(0)) / np.sqrt(len(Z) - 1), "r")) for Z in (X, Y))
    shared = np.linalg.svd(R @ S.T, compute_uv=False).sum()
    distance = ((X.mean(0) - Y.mean(0)) ** 2).sum() + (R**2).sum() + (S**2).sum() - 2 * shared
    return max(float(distance), 0.0)  # that of equal sets may be rounded to less


def kernel_distance(X: Vectors, Y: Vectors, kernel: Kernel | None = None) -> float:
    """Returns the squared maximum mean discrepancy of the two sets, without bias (KID; Binkowski et al. 2018).

    It may be below 0. Of each set only pairs of different vectors count.

    kernel: (vectors, vectors) -> a number for each pair; None is KID's, (x y / features + 1)^3
    Raises InputError for fewer than two vectors, sets of different width, or what is no number from -1e50 to 1e50.
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
    X, Y = _numbers(X, "first"), _numbers(Y, "second")
    fits = X.ndim == Y.ndim == 2 and X.shape[1] == Y.shape[1] > 0 and min(len(X), len(Y)) > 1
    if not fits:
        raise InputError(f"sets of shapes {X.shape} and {Y.shape}; two or more vectors each, of one width, are right")
    for Z, which in ((X, "first"), (Y, "second")):
        wrong = np.argwhere(~(np.abs(Z) <= MOST))  # NaN is not below either
        if len(wrong):
            row, column = wrong[0]
            raise InputError(
                f"the {which} set, vector {row + 1} of {len(Z)}, feature {column + 1}: {Z[row, column]}; a finite "
                f"number from -{MOST:g} to {MOST:g} is right"
            )
    return X, Y


def _numbers(Z: Vectors, which: str) -> np.ndarray:
    try:
        array = np.asarray(Z)
        if array.dtype.kind in "biuf":
            return array.astype(np.float64)
        kind = str(array.dtype)
    except ValueError:
        kind = "rows of different lengths"
    raise InputError(f"the {which} set is of {kind}; real numbers (examples, features) are right")
