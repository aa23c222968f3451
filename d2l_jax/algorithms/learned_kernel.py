"""The length scale and the noise that make what was seen most likely (book, section 18.3.2)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import value_and_grad
from jaxtyping import Array, Float

from d2l_jax.algorithms.gaussian_process import Values, neg_MLL, refuse_infinite
from d2l_jax.algorithms.kernels import Points, rbfkernel
from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError

Pair = tuple[float, float]


class LearnedKernel(NamedTuple):
    """Where the search ended.

    ls:          as `rbfkernel` takes it, a square or a length
    noise:       standard deviation of the observations
    loss:        the negative log marginal likelihood there
    evaluations: how often it was computed, with its gradient
    """

    ls: float
    noise: float
    loss: float
    evaluations: int


def learn_kernel(
    X: Points, y: Values, start: Pair = (0.4, 0.5), bounds: Pair = (0.01, 10.0), **options: Any
) -> LearnedKernel:
    """Returns the `ls` and noise of `rbfkernel` that minimise `neg_MLL`, by L-BFGS-B within bounds, as in the book.

    X, y:    points and their values, float32 or float64, in which all is computed
    start:   first `ls` and noise; the loss has several valleys
    bounds:  of both
    options: of `rbfkernel`

    Raises InputError where there is no point, `X` or `y` is not finite, they are of other or different dtypes, `start`
    is out of bounds, or as `neg_MLL` does.
    """
    from scipy.optimize import minimize  # loads slowly, and most who import this file need it not

    low, high = bounds
    if not (low > 0 and all(low <= value <= high for value in start)):
        raise InputError(f"start {start} is right within bounds of 0 < low < high; they are {low} and {high}")
    if not len(X) or not jnp.issubdtype(X.dtype, jnp.floating) or X.dtype != y.dtype:
        raise InputError(
            f"{len(X)} points in {X.dtype}, y in {y.dtype}; one or more, both in float32 or float64, are right"
        )
    refuse_infinite(X=X, y=y)

    @jit
    def loss(both: Float[Array, " 2"]) -> tuple[Array, Array]:
        def of(pair: Float[Array, " 2"]) -> Array:
            return neg_MLL(lambda x1, x2: rbfkernel(x1, x2, pair[0], **options), X, y, pair[1])

        return value_and_grad(of)(both)

    def at(both: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(jnp.asarray(both, X.dtype))
        return float(value), np.asarray(gradient, np.float64)

    found = minimize(at, np.asarray(start), jac=True, method="L-BFGS-B", bounds=[bounds, bounds])
    if not np.isfinite(found.fun):
        raise InputError(f"no loss at ls, noise = {found.x}: the covariance is singular; a larger lower bound is right")
    return LearnedKernel(float(found.x[0]), float(found.x[1]), float(found.fun), int(found.nfev))
