"""The curve that attention pooling estimates in section 11.2 of the book."""

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError


def noisy_curve(seed: int = 0, num_train: int = 40) -> Dataset:
    """Draws y = 2 sin(x) + x + N(0, 1) at sorted random x from 0 to 5 (section 11.2 of the book).

    The test examples are the 50 queries x = 0, 0.1 .. 4.9, without noise.

    Returns:
      train: x and y float32 (num_train,); test: x and y float32 (50,).

    Raises:
      InputError: `num_train` is below 1 or the seed is negative.
    """
    if num_train < 1 or seed < 0:
        raise InputError(f"{num_train} points and seed {seed}: give 1 point or more, and a seed of 0 or more")
    random = np.random.default_rng(seed)
    x = np.sort(random.uniform(0, 5, num_train))
    queries = np.arange(50) / 10
    noisy = _curve(x) + random.standard_normal(num_train)
    train = _single(x, noisy)
    test = _single(queries, _curve(queries))
    return Dataset("noisy_curve", train, test, f"drawn with seed {seed}")


def _single(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.astype(np.float32), y.astype(np.float32)


def _curve(x: np.ndarray) -> np.ndarray:
    return 2 * np.sin(x) + x
