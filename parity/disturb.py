"""Measured noise: the same run from numbers that differ by the least that the precision knows."""

from collections.abc import Callable

import numpy as np


def one_ulp(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Moves every number of an array to one of its two neighbours at random."""
    random = np.random.default_rng(seed)

    def disturb(array: np.ndarray) -> np.ndarray:
        towards = np.where(random.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
        return np.nextafter(array, towards)

    return disturb
