"""Measured noise: the same run, its numbers moved by the least that the precision knows."""

from collections.abc import Callable

import numpy as np


def one_ulp(seed: int, ulps: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """Moves every number of an array up or down by `ulps` at random, but 0 and what is nearer to it than that.

    With one: to one of its two neighbours. Seed -1 moves nothing.
    """
    if seed < 0:
        return np.asarray
    random = np.random.default_rng(seed)

    def disturb(array: np.ndarray) -> np.ndarray:
        bits = np.dtype(f"i{array.itemsize}")  # the neighbours of a number are those of its bits
        direction = random.integers(0, 2, array.shape, np.int8) * np.int8(2) - np.int8(1)
        moved = (array.view(bits) + direction * bits.type(ulps)).view(array.dtype)
        return np.where(array.view(bits) & np.iinfo(bits).max < ulps, array, moved)

    return disturb
