"""Data drawn from a known linear rule, so that what was learned can be compared with the truth."""

from collections.abc import Sequence

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError


def synthetic_regression(
    w: Sequence[float] | np.ndarray,
    b: float,
    noise: float = 0.01,
    num_train: int = 1000,
    num_val: int = 1000,
    seed: int = 0,
    name: str = "synthetic",
) -> Dataset:
    """Draws y = X w + b + noise * N(0, 1) with X ~ N(0, 1) (section 3.3 of the book).

    Args:
      w: the true weights, (d,).
      b: the true bias.
      noise: standard deviation of the noise.
      num_train: training examples.
      num_val: test examples.
      seed: the same seed draws the same data.
      name: name of the result.

    Returns:
      X float32 (N, d), y float32 (N, 1).

    Raises:
      InputError: w is not a list of numbers, or a count is below 1, or the seed is negative.
    """
    weights = np.asarray(w, np.float32).reshape(-1, 1)
    if weights.size == 0 or min(num_train, num_val) < 1 or seed < 0:
        raise InputError(
            f"synthetic data needs at least 1 weight, 1 training and 1 test example and a seed of 0 or more, "
            f"got {weights.size}, {num_train}, {num_val} and seed {seed}"
        )
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((num_train + num_val, len(weights)), np.float32)
    y = X @ weights + np.float32(b) + np.float32(noise) * rng.standard_normal((len(X), 1), np.float32)
    train = (X[:num_train], y[:num_train])
    test = (X[num_train:], y[num_train:])
    return Dataset(name, train, test, f"drawn with seed {seed}")


def weight_decay_data(num_train: int = 20, num_val: int = 100, num_inputs: int = 200, seed: int = 0) -> Dataset:
    """Draws few examples of many inputs, weights 0.01 and bias 0.05, to show overfitting (section 3.7 of the book).

    Returns:
      X float32 (N, num_inputs), y float32 (N, 1).
    """
    w = np.full(num_inputs, 0.01, np.float32)
    return synthetic_regression(w, 0.05, 0.01, num_train, num_val, seed, name="weight_decay")


def ohms_law(num_train: int = 100, num_val: int = 100, seed: int = 0) -> Dataset:
    """Draws the voltage over a resistor of 30 ohm: y = 30 x without noise, x ~ N(0, 1) ampere, y in volt.

    Returns:
      X float32 (N, 1), y float32 (N, 1).
    """
    return synthetic_regression([30.0], 0.0, 0.0, num_train, num_val, seed, name="ohms_law")
