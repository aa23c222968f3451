"""Gaussian processes over many points: the kernel's matrix is never there as a whole.

With n points seen, m new ones and b rows in a block, an array of (b, n) numbers and a dozen of (n, m + 1) are the most
that is held: at n = 20,000, m = 100 and b = 256 about 0.1 GB in float32, where the matrix alone takes 1.6 GB.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.algorithms.gaussian_process import Values, refuse_infinite, refuse_uneven
from d2l_jax.algorithms.kernels import Kernel, Number, Points
from d2l_jax.errors import InputError

Columns = Float[Array, "n columns"]
TOLERANCE = {"float32": 1e-4, "float64": 1e-8}


class Solution(NamedTuple):
    """Where conjugate gradients ended.

    x:         the solution
    residual:  norm of b - A x beside that of b, the largest of all columns
    iterations: how many products it took
    rates, ratios: of each iteration and column, how far it went along its direction, and how much of that stayed in the
               next; 0 from where a column was solved
    """

    x: Columns
    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    rates: Float[Array, "limit columns"]
    ratios: Float[Array, "limit columns"]


class Marginals(NamedTuple):
    """Mean and variance of a function's value at each point, and what the solution took."""

    mean: Values
    variance: Values
    residual: Float[Array, ""]
    iterations: Int[Array, ""]


def kernel_matmul(
    kernel: Kernel, X1: Points, X2: Points, V: Float[Array, "m columns"], rows: int = 256
) -> Float[Array, "n columns"]:
    """Returns kernel(X1, X2) @ V, of which no more than `rows` rows of the kernel are there at a time.

    So it is of the derivative, for which they are computed again.
    """
    missing = -len(X1) % rows
    padded = jnp.concatenate([X1, jnp.zeros((missing, *X1.shape[1:]), X1.dtype)])
    blocks = padded.reshape(-1, rows, *X1.shape[1:])
    product = jax.checkpoint(lambda x: jnp.matmul(kernel(x, X2), V, precision="highest"))
    products = jax.lax.map(product, blocks)
    return products.reshape(-1, V.shape[1])[: len(X1)]


def conjugate_gradients(matmul: Callable[[Columns], Columns], b: Columns, tolerance: float, limit: int) -> Solution:
    """Returns x with A x = b for a symmetric positive A, each column for itself.

    matmul:    x -> A x
    tolerance: ends where no column's residual is more than this part of its b; the last of `limit` ends it, too
    """
    size = jnp.maximum(_norms(b), jnp.finfo(b.dtype).tiny)
    none = jnp.zeros((limit, b.shape[1]), b.dtype)

    def unsolved(r: Columns) -> Bool[Array, " columns"]:
        return _norms(r) / size > tolerance

    def goes_on(state: tuple) -> Array:
        _, r, _, count, *_ = state
        return unsolved(r).any() & (count < limit)

    def step(state: tuple) -> tuple:
        x, r, p, count, rates, ratios = state
        before = (r * r).sum(0)
        Ap = matmul(p)
        rate = _ratio(before, (p * Ap).sum(0))
        x = x + rate[None] * p
        moving = unsolved(r)
        r = r - rate[None] * Ap
        ratio = _ratio((r * r).sum(0), before)
        p = r + ratio[None] * p
        rates = rates.at[count].set(jnp.where(moving, rate, 0))
        ratios = ratios.at[count].set(jnp.where(moving, ratio, 0))
        return x, r, p, count + 1, rates, ratios

    start = (jnp.zeros_like(b), b, b, jnp.zeros((), jnp.int32), none, none)
    x, _, _, count, rates, ratios = jax.lax.while_loop(goes_on, step, start)
    return Solution(x, jnp.max(_norms(b - matmul(x)) / size), count, rates, ratios)


def refuse_unsolved(solution: Solution, tolerance: float, limit: int) -> None:
    """Raises InputError where the true residual ends above ten times the tolerance, or the matrix is not positive.

    Of such a matrix the equations may be solved all the same; neither variances nor likelihoods are made of that.
    Within `jax.jit`, which hides the values, nothing is raised.
    """
    if isinstance(solution.residual, Tracer):
        return
    if (solution.rates < 0).any():
        raise InputError("a covariance matrix is not positive definite; more noise, or float64, is right")
    if not float(solution.residual) <= 10 * tolerance:
        raise InputError(
            f"conjugate gradients end after {solution.iterations} of {limit} iterations with a residual of "
            f"{solution.residual:.0e} where {tolerance:.0e} is asked; more noise, iterations or float64 is right"
        )


def checked_tolerance(X: Points, rows: int, tolerance: float | None, limit: int) -> float:
    """Returns the tolerance, that of the dtype for None; InputError for another dtype, and for no row or iteration."""
    if rows < 1 or limit < 1:
        raise InputError(f"blocks of {rows} rows and {limit} iterations; 1 or more of both are right")
    if X.dtype.name not in TOLERANCE:
        raise InputError(f"points in {X.dtype}; {' or '.join(TOLERANCE)} is right")
    return TOLERANCE[X.dtype.name] if tolerance is None else tolerance


def posterior_by_blocks(
    kernel: Kernel,
    X: Points,
    y: Values,
    X_new: Points,
    noise: Number,
    rows: int = 256,
    tolerance: float | None = None,
    limit: int = 1000,
) -> Marginals:
    """Returns mean and variance of `posterior` at each of `X_new`, by conjugate gradients in the memory of this file.

    rows:      of the kernel's matrix that are there at a time
    tolerance: of the residuals, see `conjugate_gradients`; None is 1e-4 in float32 and 1e-8 in float64
    limit:     most iterations

    Raises InputError where there is not one finite y for each point, a point is not finite, `rows` or `limit` is below
    1, or `refuse_unsolved` does; within `jax.jit`, which hides the values, `residual` tells.
    """
    refuse_uneven(len(X), y)
    refuse_infinite(X=X, y=y, X_new=X_new)
    tolerance = checked_tolerance(X, rows, tolerance, limit)
    across = kernel(X, X_new)

    def matmul(V: Columns) -> Columns:
        return kernel_matmul(kernel, X, X, V, rows) + noise * noise * V

    solution = conjugate_gradients(matmul, jnp.concatenate([y[:, None], across], 1), tolerance, limit)
    refuse_unsolved(solution, tolerance, limit)
    mean = jnp.matmul(across.T, solution.x[:, 0], precision="highest")
    own = jax.vmap(lambda x: kernel(x[None], x[None])[0, 0])(X_new)
    return Marginals(mean, own - (across * solution.x[:, 1:]).sum(0), solution.residual, solution.iterations)


def _norms(columns: Columns) -> Float[Array, " columns"]:
    return jnp.sqrt((columns * columns).sum(0))


def _ratio(a: Float[Array, " columns"], b: Float[Array, " columns"]) -> Float[Array, " columns"]:
    """Returns a / b, and 0 where b is 0: a column that is solved stays."""
    return jnp.where(b == 0, 0, a / jnp.where(b == 0, 1, b))
