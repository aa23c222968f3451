"""The noisy sine of section 9.1 of the book, to be predicted from its own past."""

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError


def noisy_sine(seed: int = 0, tau: int = 4, num_train: int = 600, length: int = 1000) -> Dataset:
    """Draws the series x_t = sin(0.01 t) + 0.2 N(0, 1), t = 1 .. `length`, to be predicted from `tau` earlier values.

    Returns:
      X float32 (N, tau), oldest value first, y float32 (N, 1): the first `num_train` of the `length` - `tau`
      examples to train on, the rest to test on.

    Raises:
      InputError: `tau` or `num_train` is below 1, no example is left to test on, or the seed is negative.
    """
    if tau < 1 or not 1 <= num_train < length - tau or seed < 0:
        raise InputError(
            f"a series of {length} values gives {length - tau} examples of tau = {tau}; {num_train} to train on and "
            f"seed {seed} do not fit: tau must be 1 or more, some examples left to test on, the seed 0 or more"
        )
    noise = np.random.default_rng(seed).standard_normal(length)
    x = (np.sin(0.01 * np.arange(1, length + 1)) + 0.2 * noise).astype(np.float32)
    X = np.lib.stride_tricks.sliding_window_view(x, tau)[:-1].copy()
    y = x[tau:, None]
    train = (X[:num_train], y[:num_train])
    test = (X[num_train:], y[num_train:])
    return Dataset("noisy_sine", train, test, f"drawn with seed {seed}")
