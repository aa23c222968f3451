"""Chapter 18: kernels, what is seen and what is then known, at the values of the specification."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from d2l_jax import TrainState, algorithms, make_train_step
from d2l_jax.algorithms import line_kernel, neg_MLL, neural_network_kernel, posterior, prior, rbfkernel
from d2l_jax.algorithms.drawn_curves import curve
from d2l_jax.catalog import get
from d2l_jax.errors import InputError

X = np.linspace(0, 5, 50)
ROUND = {"float32": 2e-5, "float64": 1e-12}


def seen(dtype="float64"):
    """The second edition's points: its seed, and its order of draws."""
    y = curve(X) + 0.25 * np.random.RandomState(2).randn(50)
    return jnp.asarray(X, dtype), jnp.asarray(y, dtype)


@pytest.mark.parametrize("dtype", ROUND)
@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"ls": 0.2}, [[1, 0.082085, 0], [0.082085, 1, 0.003607], [0, 0.003607, 1]]),
        ({"ls": 4.0}, [[1, 0.882497, 0.457833], [0.882497, 1, 0.75484], [0.457833, 0.75484, 1]]),
        ({"ls": 2.0, "ls_is": "length"}, [[1, 0.882497, 0.457833], [0.882497, 1, 0.75484], [0.457833, 0.75484, 1]]),
    ],
)
def test_both_meanings_of_the_length_scale(options, row, dtype):
    x = jnp.asarray([0, 1, 2.5], dtype)
    for points in (x, x[:, None]):
        K = rbfkernel(points, points, **options)
        assert K.dtype == dtype
        np.testing.assert_allclose(K, row, atol=6e-7)
    np.testing.assert_allclose(rbfkernel(x, x, amplitude=3.0), 9 * rbfkernel(x, x), rtol=1e-6)


@pytest.mark.parametrize("kernel", [rbfkernel, line_kernel, neural_network_kernel])
def test_points_of_other_features_are_not_repeated(kernel):
    with pytest.raises(InputError, match=r"points of shapes \(7,\) and \(5, 3\); as many features in both"):
        kernel(jnp.ones(7), jnp.ones((5, 3)))
    assert kernel(jnp.ones(7), jnp.ones((5, 1))).shape == (7, 5)


def test_another_meaning_is_refused():
    with pytest.raises(InputError, match="unknown ls_is 'squared'; did you mean square"):
        rbfkernel(jnp.ones(2), jnp.ones(2), ls_is="squared")  # type: ignore[arg-type]


def test_the_kernel_of_a_network_is_the_mean_over_its_units():
    random = np.random.default_rng(0)
    x = np.array([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.1]])
    b = np.sqrt(0.5) * random.normal(size=200_000)
    w = np.sqrt(3.0) * random.normal(size=(200_000, 2))
    units = erf(b + x @ w.T)
    K = neural_network_kernel(jnp.asarray(x), jnp.asarray(x), bias=0.5, weight=3.0)
    np.testing.assert_allclose(K, units @ units.T / 200_000, atol=0.01)


@pytest.mark.slow
def test_straight_lines():
    x = jnp.linspace(-5, 5, 50)
    lines = prior(line_kernel, x)
    np.testing.assert_allclose(lines.std(), np.sqrt(1 + x**2), rtol=1e-12)
    np.testing.assert_allclose(lines.band()[1], 2 * np.sqrt(1 + x**2), rtol=1e-12)
    drawn = lines.sample(jax.random.key(0), 10)  # a matrix of rank 2: jitter alone gives it a factor
    bends = np.diff(drawn, 2, axis=1)
    assert drawn.shape == (10, 50) and np.abs(bends).max() < 0.01 < np.abs(np.diff(drawn, axis=1)).max()


@pytest.mark.parametrize("dtype", ROUND)
def test_the_loss_at_the_values_of_the_specification(dtype):
    x = jnp.asarray(X, dtype)
    f = jnp.asarray(curve(X), dtype)
    for ls, noise, loss in ((0.4, 0.5, 27.539813), (0.3, 0.25, 0.077509)):
        assert float(neg_MLL(partial(rbfkernel, ls=ls), x, f, noise)) == pytest.approx(loss, abs=1e-3, rel=1e-6)
    second = partial(rbfkernel, ls=0.4, ls_is="length")
    assert float(neg_MLL(second, *seen(dtype), 0.5)) == pytest.approx(34.982946, rel=1e-6)


def test_the_gradient_is_that_of_differences():
    x, y = seen()

    def loss(both):
        return neg_MLL(partial(rbfkernel, ls=both[0]), x, y, both[1])

    both = np.array([0.4, 0.5])
    steps = 1e-6 * np.eye(2)
    value = jax.jit(loss)
    differences = [(value(both + step) - value(both - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(both), differences, rtol=1e-7)


@pytest.mark.parametrize("dtype", ROUND)
def test_what_both_editions_learn(dtype):
    second = algorithms.learn_kernel(*seen(dtype), ls_is="length")
    assert (second.ls, second.noise) == pytest.approx((0.5698, 0.2750), abs=1e-4)
    assert second.loss == pytest.approx(23.233676, rel=2e-6)
    first = algorithms.learn_kernel(*seen(dtype))  # E1: the square of it, which the prose still names
    assert (first.ls, first.noise) == pytest.approx((0.5698**2, 0.2750), abs=2e-4)


def test_fifty_steps_of_adam_are_the_second_editions_log():
    case = get("exact-gp")
    x, y = seen("float32")
    model = case.build()
    state = TrainState.create(model, case.turns)
    step = make_train_step(model, case.turns, {})
    log = []
    for _ in range(50):
        raw = np.asarray(state.params["covar_module"]["base_kernel"]["raw_lengthscale"]).item()
        state, measured = step(state, {"X": x, "y": y})
        log.append((float(measured["loss"]), np.logaddexp(raw, 0)))
    losses, lengths = np.array(log)[::10].T
    np.testing.assert_allclose(losses, [0.993, 0.720, 0.505, 0.463, 0.468], atol=5.1e-4)
    np.testing.assert_allclose(lengths[[0, -1]], [0.693, 0.519], atol=5.1e-4)


@pytest.mark.slow
def test_the_posterior_is_that_of_the_whole_matrix():
    x, y = seen()
    kernel = partial(rbfkernel, ls=0.3)
    new = jnp.linspace(-1, 6, 31)
    known = jax.jit(partial(posterior, kernel))(x, y, new, 0.25)
    K = np.asarray(kernel(x, x)) + 0.25**2 * np.eye(50)
    weights = np.linalg.solve(K, np.asarray(kernel(x, new)))
    np.testing.assert_allclose(known.mean, weights.T @ y, atol=1e-12)
    np.testing.assert_allclose(known.covariance, kernel(new, new) - kernel(new, x) @ weights, atol=1e-12)
    lower, upper = known.band(0.25)
    np.testing.assert_allclose(upper - lower, 4 * np.sqrt(known.std() ** 2 + 0.25**2), rtol=1e-12)
    assert (known.band()[1] < upper).all()


def test_samples_have_the_mean_and_the_covariance():
    x, y = seen()
    known = jax.jit(partial(posterior, partial(rbfkernel, ls=0.3)))(x, y, jnp.linspace(0, 5, 5), 0.25)
    drawn = jax.jit(partial(algorithms.Gaussian.sample, count=100_000))(known, jax.random.key(0))
    np.testing.assert_allclose(drawn.mean(0), known.mean, atol=2e-3)
    np.testing.assert_allclose(np.cov(drawn.T), known.covariance, atol=1e-3)


def test_without_noise_the_curve_goes_through_the_points():
    """Nearly singular: 50 points at 0.1 of each other, where the kernel's smallest eigenvalue is below the rounding."""
    x, f = jnp.asarray(X, "float32"), jnp.asarray(curve(X), "float32")
    known = posterior(partial(rbfkernel, ls=0.3), x, f, x, 0.0)
    np.testing.assert_allclose(known.mean, f, atol=2e-3)
    assert known.sample(jax.random.key(0), 20).dtype == jnp.float32


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((X, X[1:]), "50 points and 49 values"),
        ((X, np.full(50, np.nan)), r"y\[0\] is nan"),
        ((np.append(X[:7], np.inf), X[:8]), r"X\[7\] is inf"),
        ((X[:0], X[:0]), "0 points"),
        ((np.arange(50), X), "50 points in int64"),
        ((X, X, (0.4, np.nan)), "start"),
        ((X, X, (0.4, 20.0)), "start"),
        ((X, X, (0.4, 0.5), (0.0, 1.0)), "start"),
    ],
)
def test_what_cannot_be_learned(arguments, line):
    x, y, *more = arguments
    with pytest.raises(InputError, match=line):
        algorithms.learn_kernel(jnp.asarray(x), jnp.asarray(y), *more)


@pytest.mark.slow
def test_what_is_not_finite_is_refused_by_name_and_place():
    """Beside it stands what is right: nothing seen leaves the prior, and `jax.jit` hides the values."""
    kernel = partial(rbfkernel, ls=0.3)
    x, y = jnp.asarray(X[:7]), jnp.asarray(curve(X[:7]))
    nan = y.at[3].set(jnp.nan)
    for wrong, name in (((x, nan, x), "y"), ((nan, y, x), "X"), ((x, y, nan), "X_new")):
        with pytest.raises(InputError, match=rf"^{name}\[3\] is nan; finite numbers are right"):
            posterior(kernel, *wrong, 0.25)
    with pytest.raises(InputError, match=r"^y\[3\] is nan"):
        neg_MLL(kernel, x, nan, 0.25)
    with pytest.raises(InputError, match=r"y has shape \(7, 1\); one number for each point, \(7,\), is right"):
        algorithms.neg_log_density(kernel(x, x), y[:, None])
    empty = posterior(kernel, x[:0], y[:0], x, 0.25)
    np.testing.assert_array_equal(empty.covariance, prior(kernel, x).covariance)
