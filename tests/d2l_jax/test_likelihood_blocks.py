"""The marginal likelihood by blocks beside that of the whole matrix: value, slopes, error, memory, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.algorithms import neg_MLL, neg_MLL_by_blocks, random_signs, rbfkernel
from d2l_jax.algorithms.drawn_curves import curve
from d2l_jax.algorithms.likelihood_blocks import first_of_log
from d2l_jax.errors import InputError

MANY = 20_000


def seen(dtype: str = "float64", points: int = 50):
    x = np.linspace(0, 5, points)
    y = curve(x) + 0.25 * np.random.default_rng(0).normal(size=points)
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype)


def certain(points: int, dtype: str) -> jax.Array:
    """Probes that leave nothing to chance: sqrt(n) times the columns of an orthogonal matrix."""
    square = np.linalg.qr(np.random.default_rng(1).normal(size=(points, points)))[0]
    return jnp.asarray(np.sqrt(points) * square, dtype)


def whole(theta, x, y):
    return neg_MLL(partial(rbfkernel, ls=theta[0]), x, y, theta[1])


def by_blocks(theta, x, y, probes, **options):
    found = neg_MLL_by_blocks(partial(rbfkernel, ls=theta[0]), x, y, theta[1], probes, rows=16, **options)
    return found.loss, found


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-4), ("float64", 1e-8)])
def test_without_chance_value_and_slopes_are_those_of_the_whole_matrix(dtype: str, tolerance: float):
    x, y = seen(dtype)
    theta = jnp.asarray([0.3, 0.25], dtype)
    slopes = jax.jit(jax.value_and_grad(by_blocks, (0, 1, 2), has_aux=True))
    (loss, found), ours = slopes(theta, x, y, certain(50, dtype))
    expected, theirs = jax.jit(jax.value_and_grad(whole, (0, 1, 2)))(theta, x, y)
    assert loss.dtype == dtype and found.residual < 1e-4
    np.testing.assert_allclose(loss, expected, rtol=tolerance)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=tolerance * float(jnp.abs(other).max()) * 10)


@pytest.mark.slow
def test_random_probes_err_as_much_as_they_say():
    x, y = seen()
    theta = jnp.asarray([0.3, 0.25])
    draw = partial(random_signs, points=50, probes=8, dtype="float64")
    estimate = jax.jit(jax.vmap(lambda key: by_blocks(theta, x, y, draw(key), limit=50)[1]))
    found = estimate(jax.random.split(jax.random.key(0), 100))
    errors = np.asarray(found.loss - whole(theta, x, y))
    assert abs(errors.mean()) < 3 * errors.std() / 10
    assert 0.8 < np.sqrt(np.mean(found.error**2)) / errors.std() < 1.25
    assert np.isnan(by_blocks(theta, x, y, draw(jax.random.key(0))[:, :1])[1].error)


def test_the_logarithm_of_a_matrix_is_told_by_the_way_of_conjugate_gradients():
    """Two steps on diag(1, 4) from (1, 1): the log determinant, halved by the start's square, is log 2."""
    found = first_of_log(jnp.asarray([[0.4], [0.625], [0.0]]), jnp.asarray([[0.36], [0.0], [0.0]]))
    np.testing.assert_allclose(found, [np.log(2)], rtol=1e-12)


def temporary(loss) -> int:
    """Bytes that the compiled loss and slopes of 20,000 points need beside their arguments and results."""
    points, theta = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((MANY,), (2,)))
    analysis = jax.jit(jax.value_and_grad(loss)).lower(theta, points, points).compile().memory_analysis()
    assert analysis
    return analysis.temp_size_in_bytes


def test_the_matrix_of_20_000_points_is_never_there():
    def blocks(theta, x, y):
        probes = random_signs(jax.random.key(0), MANY)
        return neg_MLL_by_blocks(partial(rbfkernel, ls=theta[0]), x, y, theta[1], probes).loss

    assert temporary(blocks) < 4 * MANY**2 / 8
    assert temporary(whole) >= 4 * MANY**2  # the control


@pytest.mark.slow
def test_what_is_refused():
    x, y = seen()
    probes = random_signs(jax.random.key(0), 50, 2, "float64")
    kernel = partial(rbfkernel, ls=0.3)
    with pytest.raises(InputError, match="50 points, 50 values of y, 49 rows of probes; as many each are right"):
        neg_MLL_by_blocks(kernel, x, y, 0.25, probes[1:])
    with pytest.raises(InputError, match="not positive definite; more noise"):
        neg_MLL_by_blocks(lambda x1, x2: -kernel(x1, x2), x, y, 0.25, probes)
    with pytest.raises(InputError, match="0 probes; 1 or more are right"):
        random_signs(jax.random.key(0), 50, 0)
    with pytest.raises(InputError, match="after 3 of 3 iterations with a residual of"):
        neg_MLL_by_blocks(kernel, x, y, 0.25, probes, limit=3)
    with pytest.raises(InputError, match=r"y\[3\] is nan"):
        neg_MLL_by_blocks(kernel, x, y.at[3].set(jnp.nan), 0.25, probes)
