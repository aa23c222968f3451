"""Predictions that are fed back: against a loop, against a recursion that is known, and calls that are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import functional, models
from d2l_jax.errors import InputError
from d2l_jax.generate.forecast import k_step_ahead, roll_out, windows

SERIES = np.sin(0.7 * np.arange(12))


def sine(X):
    """Continues a sine of that frequency: x_t = 2 cos(0.7) x_{t-1} - x_{t-2}."""
    return (2 * np.cos(0.7) * X[:, -1] - X[:, -2])[:, None]


def test_windows_hold_the_oldest_value_first():
    expected = np.lib.stride_tricks.sliding_window_view(SERIES, 4)
    np.testing.assert_array_equal(windows(jnp.asarray(SERIES), 4), expected)


@pytest.mark.parametrize("k", [1, 4, 9])
def test_the_right_recursion_predicts_every_step_ahead(k):
    predictions = jax.jit(lambda series: k_step_ahead(sine, series, 3, k))(jnp.asarray(SERIES))
    targets = np.lib.stride_tricks.sliding_window_view(SERIES[3:], k).T
    assert predictions.shape == targets.shape == (k, 12 - 3 - k + 1)
    np.testing.assert_allclose(predictions, targets, atol=1e-13)


def test_a_model_is_fed_its_own_predictions():
    apply, params, buffers = functional(models.LinearRegression(4, rngs=nnx.Rngs(0)))
    predict = lambda X: apply(params, buffers, X)[0]  # noqa: E731
    series = list(SERIES[2:6].astype(np.float32))
    for _ in range(5):
        series.append(float(predict(jnp.asarray([series[-4:]], jnp.float32))[0, 0]))
    predictions = jax.jit(lambda window: roll_out(predict, window, 5))(jnp.asarray([series[:4]], jnp.float32))
    np.testing.assert_allclose(predictions[:, 0], series[4:], rtol=1e-5)


def test_one_step_predictions_are_the_models_own():
    apply, params, buffers = functional(models.LinearRegression(4, rngs=nnx.Rngs(0)))
    params = jax.tree.map(lambda p: p.astype(float), params)
    predict = lambda X: apply(params, buffers, X)[0]  # noqa: E731
    predictions = k_step_ahead(predict, jnp.asarray(SERIES), 4, 1)
    np.testing.assert_allclose(predictions[0], predict(windows(jnp.asarray(SERIES), 4)[:-1])[:, 0], rtol=1e-6)


def test_control_a_prediction_that_is_not_fed_back_is_seen():
    stuck = np.stack([np.asarray(k_step_ahead(sine, jnp.asarray(SERIES), 3, 1))[0, :-1]] * 2)
    assert not np.allclose(k_step_ahead(sine, jnp.asarray(SERIES), 3, 2), stuck)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: windows(x, 0), "windows of 0 values in a series of 12: 1 to 12 are right"),
        (lambda x: windows(x, 13), "windows of 13 values in a series of 12: 1 to 12 are right"),
        (lambda x: k_step_ahead(sine, x, 3, 10), "a series of 12 values: 13 or more are right for tau = 3, k = 10"),
        (lambda x: k_step_ahead(sine, x, 3, 0), "predictions for 0 steps: 1 or more is right"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(InputError) as raised:
        call(jnp.asarray(SERIES))
    assert str(raised.value) == message
