"""Covariance functions of Gaussian processes (book, sections 18.1 and 18.2).

A kernel is a function of two sets of points, (n,) or (n, features) and (m,) or (m, features), and gives the matrix
(n, m) of the covariances between a function's values there, in the points' dtype. `functools.partial` sets its options.
Points of other features than the others' raise InputError.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.errors import InputError, one_of

Number = float | Array  # a scalar
Points = Float[Array, " _"] | Float[Array, "_ features"]
Covariances = Float[Array, "n m"]
Kernel = Callable[[Points, Points], Covariances]


def rbfkernel(
    x1: Points,
    x2: Points,
    ls: Number = 4.0,
    amplitude: Number = 1.0,
    ls_is: Literal["square", "length"] = "square",
) -> Covariances:
    """Returns a^2 exp(-d^2 / (2 ls)) for points at the distance d (section 18.2.3).

    amplitude: a, the standard deviation of the function's values
    ls_is:     "square", as in the book: `ls` is the square of the length scale; "length", as in its second edition
               and in GPyTorch: `ls` is the length scale itself, exp(-d^2 / (2 ls^2))

    Raises InputError for another `ls_is`.
    """
    if ls_is not in ("square", "length"):
        raise one_of("ls_is", ls_is, ["square", "length"])
    scale = ls if ls_is == "square" else ls * ls
    return amplitude * amplitude * jnp.exp(square_distances(x1, x2) / (-2 * scale))


def line_kernel(x1: Points, x2: Points) -> Covariances:
    """Returns 1 + x x': the kernel of straight lines a + b x with a and b from N(0, 1) (section 18.2.1)."""
    return 1 + _products(x1, x2)


def neural_network_kernel(x1: Points, x2: Points, bias: Number = 1.0, weight: Number = 1.0) -> Covariances:
    """Returns the kernel of a hidden layer of infinitely many units erf(b + w x) (section 18.2.4; Williams 1997).

    It is 2/pi arcsin(2 s / sqrt((1 + 2 s1) (1 + 2 s2))), s being `bias` + `weight` x x', and s1, s2 the same of a point
    with itself: not stationary, and at most 1.

    bias, weight: variances of b and of each weight
    """

    def alone(x: Points) -> Float[Array, " _"]:
        return 1 + 2 * (bias + weight * (_columns(x) ** 2).sum(-1))

    inner = 2 * (bias + weight * _products(x1, x2))
    return 2 / jnp.pi * jnp.arcsin(inner / jnp.sqrt(alone(x1)[:, None] * alone(x2)[None]))


def square_distances(x1: Points, x2: Points) -> Covariances:
    """Returns the squared distance of each pair, from the differences: nothing cancels, and 0 is exact."""
    x1, x2 = _alike(x1, x2)
    difference = x1[:, None] - x2[None]
    return (difference**2).sum(-1)


def _products(x1: Points, x2: Points) -> Covariances:
    x1, x2 = _alike(x1, x2)
    return jnp.matmul(x1, x2.T, precision="highest")


def _alike(x1: Points, x2: Points) -> tuple[Float[Array, "n features"], Float[Array, "m features"]]:
    """Returns both with an axis of features, which must be as many: JAX would repeat a single one."""
    one, other = _columns(x1), _columns(x2)
    if one.shape[1:] != other.shape[1:]:
        raise InputError(f"points of shapes {x1.shape} and {x2.shape}; as many features in both are right")
    return one, other


def _columns(x: Points) -> Float[Array, "_ features"]:
    return x[:, None] if x.ndim == 1 else x
