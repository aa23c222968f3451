"""Gaussian processes: what is known of a function before and after its values were seen (book, section 18.3)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float

from d2l_jax.algorithms.cholesky import cholesky
from d2l_jax.algorithms.kernels import Kernel, Number, Points
from d2l_jax.errors import InputError

Values = Float[Array, " points"]


class Gaussian(NamedTuple):
    """The joint distribution of a function's values at some points."""

    mean: Values
    covariance: Float[Array, "points points"]

    def std(self) -> Values:
        """Returns the standard deviation of each value; 0 where rounding makes a variance negative."""
        return jnp.sqrt(jnp.maximum(jnp.diag(self.covariance), 0))

    def band(self, noise: Number = 0.0) -> tuple[Values, Values]:
        """Returns the ends of the 95 % band, two standard deviations below and above the mean.

        noise: standard deviation of observations; 0 gives the band of the function itself
        """
        width = 2 * jnp.sqrt(self.std() ** 2 + noise * noise)
        return self.mean - width, self.mean + width

    def sample(self, key: Array, count: int = 1) -> Float[Array, "count points"]:
        """Draws functions, each as its values at the points; see `cholesky` for jitter and errors."""
        return self.from_normal(jax.random.normal(key, (count, len(self.mean)), self.mean.dtype))

    def from_normal(self, z: Float[Array, "count points"]) -> Float[Array, "count points"]:
        """Returns the functions that numbers from N(0, 1) stand for."""
        return self.mean[None] + jnp.matmul(z, cholesky(self.covariance).T, precision="highest")


def prior(kernel: Kernel, X: Points) -> Gaussian:
    """Returns the distribution at `X` before anything is seen; its mean is 0 (section 18.2)."""
    return Gaussian(jnp.zeros(len(X), X.dtype), kernel(X, X))


def neg_MLL(kernel: Kernel, X: Points, y: Values, noise: Number) -> Float[Array, ""]:
    """Returns minus the logarithm of the marginal likelihood of `y` at `X`, all points together (section 18.3.2).

    It is 1/2 y^T K^-1 y + 1/2 log det K + n/2 log 2 pi with K = kernel + noise^2 I, and has derivatives in all that the
    kernel and `noise` are computed from.

    Raises InputError where there is not one finite y for each point; see `cholesky` for jitter and further errors.
    """
    return neg_log_density(with_noise(kernel(X, X), noise * noise), y)


def neg_log_density(covariance: Float[Array, "points points"], y: Values) -> Float[Array, ""]:
    """Returns minus the logarithm of the density of N(0, covariance) at `y`; errors as of `neg_MLL`."""
    L, alpha = _solved(covariance, y)
    return y @ alpha / 2 + jnp.log(jnp.diag(L)).sum() + len(y) / 2 * math.log(2 * math.pi)


def posterior(kernel: Kernel, X: Points, y: Values, X_new: Points, noise: Number) -> Gaussian:
    """Returns the distribution of the function at `X_new`, now that `y` was seen at `X` (section 18.3.3).

    noise: standard deviation of what was added to the function in `y`

    Raises InputError where there is not one finite y for each point, or a point is not finite; see `cholesky` for
    jitter and further errors.
    """
    refuse_infinite(X=X, X_new=X_new)
    L, alpha = _solved(with_noise(kernel(X, X), noise * noise), y)
    across = kernel(X, X_new)
    root = solve_triangular(L, across, lower=True)
    known = jnp.matmul(root.T, root, precision="highest")
    return Gaussian(jnp.matmul(across.T, alpha, precision="highest"), kernel(X_new, X_new) - known)


def with_noise(covariance: Float[Array, "points points"], variance: Number) -> Float[Array, "points points"]:
    """Returns the covariance of observations: the variance of their noise added to the diagonal."""
    return covariance + variance * jnp.eye(len(covariance), dtype=covariance.dtype)


def refuse_infinite(**arrays: Array) -> None:
    """Raises InputError for the first NaN or infinity in arrays by name; within `jax.jit` values are not seen."""
    for name, array in arrays.items():
        if isinstance(array, Tracer):
            continue
        values = np.asarray(array)  # in NumPy, since JAX would trace what is computed of constants, too
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            row = int(wrong[0, 0])
            raise InputError(f"{name}[{row}] is {values[row]}; finite numbers are right")


def refuse_uneven(points: int, y: Array) -> None:
    """Raises InputError where `y` is not one number for each point."""
    if points != len(y):
        raise InputError(f"there are {points} points and {len(y)} values of y; as many as each other are right")
    if y.ndim != 1:
        raise InputError(f"y has shape {y.shape}; one number for each point, ({points},), is right")


def _solved(K: Float[Array, "points points"], y: Values) -> tuple[Array, Values]:
    """Returns the factor L of K, and K^-1 y."""
    refuse_uneven(len(K), y)
    refuse_infinite(y=y)
    L = cholesky(K)
    return L, cho_solve((L, True), y)
