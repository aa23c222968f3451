"""The noisy sine and the noisy curve: drawn from a seed, along a known rule."""

import numpy as np
import pytest

from d2l_jax.data import load, noisy_curve, noisy_sine
from d2l_jax.errors import InputError


def test_each_value_is_predicted_from_the_four_before_it():
    data = load("noisy_sine")
    X, y = (np.concatenate(parts) for parts in zip(data.train, data.test))
    assert X.shape == (996, 4) and y.shape == (996, 1) and X.dtype == y.dtype == np.float32
    assert (data.kind, data.examples, data.held_out) == ("tabular", 600, 396)
    assert np.array_equal(X[1:, :-1], X[:-1, 1:]) and np.array_equal(X[1:, -1:], y[:-1])


def test_the_series_is_a_sine_with_noise():
    data = noisy_sine()
    y = np.concatenate([data.train[1], data.test[1]])[:, 0]
    noise = y - np.sin(0.01 * np.arange(5, 1001))
    assert 0.18 < noise.std() < 0.22 and abs(noise.mean()) < 0.03
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.1


def test_the_curve_is_sorted_noisy_and_its_queries_are_exact():
    data = noisy_curve()
    x, y = data.train
    queries, truth = data.test
    assert x.shape == y.shape == (40,) and queries.shape == truth.shape == (50,)
    assert {array.dtype for array in (x, y, queries, truth)} == {np.dtype(np.float32)}
    assert (np.diff(x) > 0).all() and 0 <= x[0] < 1 and 4 < x[-1] < 5
    assert np.allclose(queries, np.linspace(0, 4.9, 50)) and np.allclose(truth, 2 * np.sin(queries) + queries)
    x, y = noisy_curve(num_train=4000).train
    assert 0.95 < (y - 2 * np.sin(x) - x).std() < 1.05


def test_a_seed_draws_the_same_again_and_another_draws_else():
    for draw in (noisy_sine, noisy_curve, lambda seed: load("noisy_sine", seed=seed)):
        first, second, other = (draw(seed).train[1] for seed in (1, 1, 2))
        assert np.array_equal(first, second) and not np.array_equal(first, other)


@pytest.mark.parametrize("bad", [dict(tau=0), dict(tau=-1), dict(num_train=0), dict(num_train=996), dict(seed=-1)])
def test_bad_series(bad: dict):
    with pytest.raises(InputError, match="a series of 1000 values"):
        noisy_sine(**bad)


@pytest.mark.parametrize("bad", [dict(num_train=0), dict(num_train=-1), dict(seed=-1)])
def test_bad_curve(bad: dict):
    with pytest.raises(InputError, match="give 1 point or more"):
        noisy_curve(**bad)
