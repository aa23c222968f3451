"""Gaussian processes over many points: what is computed by blocks, in how much memory, and where it gives up."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.algorithms import conjugate_gradients, kernel_matmul, posterior, posterior_by_blocks, rbfkernel
from d2l_jax.algorithms.drawn_curves import curve
from d2l_jax.errors import InputError

KERNEL = partial(rbfkernel, ls=0.3)
MANY = 20_000


def seen(dtype="float64"):
    x = np.linspace(0, 5, 50)
    y = curve(x) + 0.25 * np.random.default_rng(0).normal(size=50)
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype)


@pytest.mark.parametrize("rows", [7, 50, 64])
@pytest.mark.parametrize("features", [(), (3,)])
def test_products_by_blocks_are_those_of_the_matrix(rows, features):
    random = np.random.default_rng(0)
    x, y = (jnp.asarray(random.normal(size=(n, *features))) for n in (50, 31))
    V = jnp.asarray(random.normal(size=(31, 2)))
    np.testing.assert_allclose(kernel_matmul(KERNEL, x, y, V, rows), KERNEL(x, y) @ V, atol=1e-12)


@pytest.mark.parametrize(("dtype", "mean", "variance"), [("float32", 1e-4, 1e-5), ("float64", 1e-8, 1e-8)])
def test_conjugate_gradients_reach_the_factors_posterior(dtype, mean, variance):
    x, y = seen(dtype)
    new = jnp.linspace(-1, 6, 7, dtype=dtype)
    blocks = jax.jit(partial(posterior_by_blocks, KERNEL, rows=16))(x, y, new, 0.25)
    whole = jax.jit(partial(posterior, KERNEL))(x, y, new, 0.25)
    np.testing.assert_allclose(blocks.mean, whole.mean, atol=mean)
    np.testing.assert_allclose(blocks.variance, jnp.diag(whole.covariance), atol=variance)
    assert blocks.mean.dtype == dtype and int(blocks.iterations) < 50


def test_a_column_of_zeros_is_solved_by_zeros():
    solution = conjugate_gradients(lambda x: 2 * x, jnp.asarray([[0.0, 4.0], [0.0, 2.0]]), 1e-8, 10)
    np.testing.assert_array_equal(solution.x, [[0, 2], [0, 1]])
    assert int(solution.iterations) == 1


def temporary(posterior_at):
    """Bytes that the compiled program of 20,000 points needs beside its arguments and results."""
    points, new = (jax.ShapeDtypeStruct((n,), jnp.float32) for n in (MANY, 100))
    return jax.jit(posterior_at).lower(points, points, new).compile().memory_analysis().temp_size_in_bytes


def test_the_matrix_of_20_000_points_is_never_there():
    matrix = 4 * MANY**2
    assert temporary(lambda x, y, new: posterior_by_blocks(KERNEL, x, y, new, 0.25)) < matrix / 16
    assert temporary(lambda x, y, new: posterior(KERNEL, x, y, new, 0.25).mean) >= matrix  # the control


def test_a_matrix_that_is_not_positive_is_refused_though_its_equations_are_solved():
    x, y = seen()

    def negative(x1, x2):
        return -KERNEL(x1, x2)

    def diagonal(v):
        return jnp.asarray([[2.0], [-3.0]]) * v

    np.testing.assert_allclose(conjugate_gradients(diagonal, jnp.ones((2, 1)), 1e-8, 9).x, [[1 / 2], [-1 / 3]])
    with pytest.raises(InputError, match="not positive definite; more noise"):
        posterior_by_blocks(negative, x, y, x, 0.25)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rows": 0}, "blocks of 0 rows"),
        ({"limit": 0}, "0 iterations"),
        ({"X": jnp.arange(50)}, r"points in int\d+; float32 or float64 is right"),
        ({"X_new": jnp.ones((7, 3))}, "as many features in both"),
        ({"y": jnp.ones((50, 1))}, r"y has shape \(50, 1\)"),
        ({"y": jnp.full(50, jnp.nan)}, r"y\[0\] is nan"),
    ],
)
def test_what_no_blocks_are_made_of(change, line):
    x, y = seen("float32")
    with pytest.raises(InputError, match=line):
        posterior_by_blocks(**{"kernel": KERNEL, "X": x, "y": y, "X_new": x, "noise": 0.25} | change)


def test_what_does_not_converge_is_refused():
    x, y = seen()
    with pytest.raises(InputError, match="after 3 of 3 iterations with a residual of"):
        posterior_by_blocks(KERNEL, x, y, x, 0.25, limit=3)
    with pytest.raises(InputError, match="50 points and 49 values"):
        posterior_by_blocks(KERNEL, x, y[1:], x, 0.25)
