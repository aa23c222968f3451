"""The factor of a covariance that is nearly singular, and what is said of one that is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.algorithms import cholesky
from d2l_jax.algorithms.cholesky import factored
from d2l_jax.errors import InputError


def of_rank_one(dtype, least=0.0):
    """10 + `least` on the diagonal, 10 beside it."""
    return 10 * jnp.ones((7, 7), dtype) + least * jnp.eye(7, dtype=dtype)


@pytest.mark.parametrize(("dtype", "first"), [("float32", 1e-6), ("float64", 1e-8)])
@pytest.mark.parametrize(("tries", "least"), [(0, 0.1), (1, -3e-6), (2, -3e-5), (3, -3e-4)])
def test_the_least_jitter_that_serves_is_added(dtype, first, tries, least):
    K = of_rank_one(dtype, least * first * 1e6 if tries else least)
    L, count = factored(K)
    assert int(count) == tries
    jitter = 10 * first * 10.0 ** (tries - 1) if tries else 0
    np.testing.assert_allclose(L @ L.T, K + jitter * jnp.eye(7, dtype=dtype), rtol=1e-6)
    np.testing.assert_array_equal(L, jnp.tril(L))


@pytest.mark.parametrize(("dtype", "most"), [("float32", "1e-03"), ("float64", "1e-05")])
def test_a_matrix_that_is_not_positive_is_refused(dtype, most):
    K = of_rank_one(dtype, -0.01)
    with pytest.raises(InputError, match=f"7 points is not positive definite in {dtype}, nor with {most}"):
        cholesky(K)
    assert np.isnan(np.diag(jax.jit(cholesky)(K))).all()
    with pytest.raises(InputError, match="holds NaN or infinity"):
        cholesky(K.at[3, 3].set(jnp.nan))


def test_the_derivative_is_that_of_jax_and_goes_through_jitter():
    random = np.random.default_rng(0)
    A = jnp.asarray(random.normal(size=(7, 7)))
    weights = jnp.asarray(random.normal(size=(7, 7)))

    def sum_of(factor, A):
        return (weights * factor(A @ A.T)).sum()

    expected = jax.grad(lambda A: sum_of(jnp.linalg.cholesky, A))(A)
    np.testing.assert_allclose(jax.grad(lambda A: sum_of(cholesky, A))(A), expected, rtol=1e-10)

    K = of_rank_one("float64", -3e-8)
    slope = jax.jit(jax.grad(lambda scale: cholesky(scale * K)[0, 0]))(jnp.ones(()))
    np.testing.assert_allclose(slope, np.sqrt(10) / 2, rtol=1e-6)
