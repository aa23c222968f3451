"""The marginal likelihood of many points and its gradient: the kernel's matrix is never there as a whole.

Conjugate gradients solve for y and for a few probes at once, vectors of random signs. What they meet on their way tells
the log determinant (stochastic Lanczos quadrature, Ubaru, Chen and Saad 2017), the solutions the trace in its gradient.
Both are means over the probes, as in GPyTorch (Gardner et al. 2018), and their error is told.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

from d2l_jax.algorithms.gaussian_process import Values, refuse_infinite
from d2l_jax.algorithms.kernel_blocks import (
    Columns,
    checked_tolerance,
    conjugate_gradients,
    kernel_matmul,
    refuse_unsolved,
)
from d2l_jax.algorithms.kernels import Kernel, Number, Points
from d2l_jax.errors import InputError


class Likelihood(NamedTuple):
    """An estimate of `neg_MLL`.

    loss:     has derivatives in all that the kernel, the noise and y are computed from
    error:    standard error of the loss, from how far the probes are from one another; NaN of a single one
    residual: of conjugate gradients, and how many iterations they took
    """

    loss: Float[Array, ""]
    error: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: Int[Array, ""]


def random_signs(key: Array, points: int, probes: int = 16, dtype: str = "float32") -> Columns:
    """Draws probes, (points, probes): each number 1 or -1; InputError for no probe, whose mean would be NaN."""
    if probes < 1:
        raise InputError(f"{probes} probes; 1 or more are right")
    return jax.random.rademacher(key, (points, probes), jnp.dtype(dtype))


def neg_MLL_by_blocks(
    kernel: Kernel,
    X: Points,
    y: Values,
    noise: Number,
    probes: Columns,
    rows: int = 256,
    tolerance: float | None = None,
    limit: int = 300,
) -> Likelihood:
    """Returns an estimate of `neg_MLL` and of its derivatives, in the memory of `posterior_by_blocks`.

    probes:    of `random_signs`; sqrt(n) times the columns of an orthogonal matrix leave nothing to chance
    rows, tolerance, limit: as of `posterior_by_blocks`

    Raises InputError where there is not one finite y and one row of probes for each point, where conjugate gradients do
    not converge, or where the matrix is not positive; within `jax.jit`, which hides the values, `residual` tells.
    """
    if not len(X) == len(y) == len(probes):
        raise InputError(f"{len(X)} points, {len(y)} values of y, {len(probes)} rows of probes; as many each are right")
    refuse_infinite(X=X, y=y)
    tolerance = checked_tolerance(X, rows, tolerance, limit)
    variance = noise * noise

    def fixed(V: Columns) -> Columns:  # no derivative goes through the iterations
        own = kernel_matmul(lambda x1, x2: stop_gradient(kernel(x1, x2)), X, X, V, rows)
        return own + stop_gradient(variance) * V

    b = jnp.concatenate([stop_gradient(y)[:, None], probes], 1)
    solution = conjugate_gradients(fixed, b, tolerance, limit)
    refuse_unsolved(solution, tolerance, limit)
    alpha, solved = solution.x[:, 0], solution.x[:, 1:]
    right = jnp.concatenate([alpha[:, None], probes], 1)
    products = kernel_matmul(kernel, X, X, right, rows) + variance * right
    # Half of y^T K^-1 y, but for the square of what conjugate gradients have left; with derivatives in K and y.
    square = y @ alpha - products[:, 0] @ alpha / 2
    trace = (products[:, 1:] * solved).sum(0).mean()
    logs = (probes**2).sum(0) * first_of_log(solution.rates[:, 1:], solution.ratios[:, 1:])
    log_det = logs.mean() + trace - stop_gradient(trace)
    loss = square + log_det / 2 + len(y) / 2 * math.log(2 * math.pi)
    error = jnp.std(logs, ddof=1) / 2 / math.sqrt(len(logs)) if len(logs) > 1 else jnp.full_like(loss, jnp.nan)
    return Likelihood(loss, error, solution.residual, solution.iterations)


def first_of_log(
    rates: Float[Array, "limit columns"], ratios: Float[Array, "limit columns"]
) -> Float[Array, " columns"]:
    """Returns the first number of log T for each column, T being the tridiagonal matrix of Lanczos.

    T is B^T B of a bidiagonal B, whose singular values lose half the digits that T's eigenvalues would.
    """

    def of(rate: Float[Array, " limit"], ratio: Float[Array, " limit"]) -> Array:
        taken = rate > 0
        inverse = jnp.where(taken, 1 / jnp.where(taken, rate, 1), 1)
        beside = jnp.where(taken[1:], jnp.sqrt(ratio * inverse)[:-1], 0)
        _, values, vectors = jnp.linalg.svd(jnp.diag(jnp.sqrt(inverse)) + jnp.diag(beside, 1))
        return (vectors[:, 0] ** 2 * 2 * jnp.log(values)).sum()

    return jax.vmap(of, 1)(rates, ratios)
