"""Predictions of a series from its own past, fed back to predict further (book, section 9.1)."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.errors import InputError

Series = Float[Array, " steps"]
Windows = Float[Array, "windows tau"]
Predict = Callable[[Windows], Float[Array, "windows 1"]]


def windows(series: Series, tau: int) -> Windows:
    """The windows of `tau` successive values of a series, oldest value first: (steps - tau + 1, tau).

    Raises InputError unless `tau` is from 1 to the length of the series.
    """
    if not 1 <= tau <= len(series):
        raise InputError(f"windows of {tau} values in a series of {len(series)}: 1 to {len(series)} are right")
    return jnp.stack([series[i : len(series) - tau + 1 + i] for i in range(tau)], axis=1)


def roll_out(predict: Predict, windows: Windows, k: int) -> Float[Array, "k windows"]:
    """Predicts 1 to k steps after each window, each step from the predictions before it: (k, windows).

    predict: a pure function of windows, such as `lambda X: apply(params, buffers, X)[0]`
    Raises InputError where k is below 1.
    """
    if k < 1:
        raise InputError(f"predictions for {k} steps: 1 or more is right")

    def step(windows: Windows, _: None) -> tuple[Windows, Float[Array, " windows"]]:
        y = predict(windows).astype(windows.dtype)
        return jnp.concatenate([windows[:, 1:], y], axis=1), y[:, 0]

    return lax.scan(step, windows, length=k)[1]


def k_step_ahead(predict: Predict, series: Series, tau: int, k: int) -> Float[Array, "k windows"]:
    """Predicts 1 to k steps after every window of a series that k more values follow: (k, steps - tau - k + 1).

    Element [i, j] predicts `series[j + tau + i]`, i + 1 steps after the last value that it depends on; k = 1
    gives the one-step predictions.
    Raises InputError where k is below 1, or the series too short for a single window.
    """
    if len(series) < tau + k:
        raise InputError(f"a series of {len(series)} values: {tau + k} or more are right for tau = {tau}, k = {k}")
    return roll_out(predict, windows(series, tau)[: len(series) - tau - k + 1], k)
