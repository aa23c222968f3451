"""The Cholesky factor of a covariance matrix that may be nearly singular."""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError

Square = Float[Array, "n n"]
JITTER = {"float32": 1e-6, "float64": 1e-8}  # the first, of a diagonal of 1
TRIES = 3


def cholesky(K: Square) -> Square:
    """Returns the lower L with L L^T = K, of a symmetric K in float32 or float64.

    Where K as it is has no factor, a jitter of 1e-6 (float64: 1e-8) is added to its diagonal, then 1e-5, then 1e-4
    (1e-7, 1e-6), as GPyTorch does; where the mean of the diagonal is above 1, so many times that. The least that serves
    is taken, and the derivative is that of the factor that is returned.

    Raises InputError where the largest does not serve, or K is not finite. Within `jax.jit`, which hides the values,
    the factor is NaN then.
    """
    L, _ = factored(K)
    if not isinstance(L, Tracer) and not bool(jnp.isfinite(L).all()):
        if not bool(jnp.isfinite(K).all()):
            raise InputError(f"a covariance matrix of {len(K)} points holds NaN or infinity; finite numbers are right")
        most = float(_jitter(K)) * 10.0 ** (TRIES - 1)
        raise InputError(
            f"a covariance matrix of {len(K)} points is not positive definite in {K.dtype}, nor with {most:.0e} "
            f"added to its diagonal; more noise, fewer points at one place, or float64 is right"
        )
    return L


@jax.custom_jvp
def factored(K: Square) -> tuple[Square, Int[Array, ""]]:
    """Returns the factor of `cholesky`, NaN where there is none, and how often jitter was tried: 0 to 3."""
    first = _jitter(K)

    def fails(state: tuple[Array, Array]) -> Array:
        L, tries = state
        return jnp.isnan(L).any() & (tries < TRIES)

    def again(state: tuple[Array, Array]) -> tuple[Array, Array]:
        _, tries = state
        jitter = first * 10.0 ** tries.astype(K.dtype)
        return jnp.linalg.cholesky(K + jitter * jnp.eye(len(K), dtype=K.dtype)), tries + 1

    return jax.lax.while_loop(fails, again, (jnp.linalg.cholesky(K), jnp.zeros((), jnp.int32)))


@factored.defjvp
def _derivative(primals: tuple[Square], tangents: tuple[Square]) -> tuple:
    """JAX's own goes through no loop backwards; this is L times the lower half of L^-1 dK L^-T."""
    L, tries = factored(*primals)
    half = solve_triangular(L, tangents[0], lower=True)
    both = solve_triangular(L, half.T, lower=True)
    lower = jnp.tril(both) - jnp.diag(jnp.diag(both)) / 2
    return (L, tries), (jnp.matmul(L, lower, precision="highest"), jnp.zeros(tries.shape, jax.dtypes.float0))


def _jitter(K: Square) -> Float[Array, ""]:
    """Returns the first: of a posterior that knows nearly all, the diagonal is below the rounding of its prior's 1."""
    return JITTER[K.dtype.name] * jnp.maximum(jnp.diag(K).mean(), 1)
