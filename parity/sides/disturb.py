"""Measured noise: the same run, its numbers moved by the least that the precision knows."""

from collections.abc import Callable

import numpy as np


def one_ulp(seed: int, ulps: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """Moves every number of an array up or down by `ulps` at random, but 0, what is nearer to it, and infinity.

    With one: to one of its two neighbours. Seed -1 moves nothing.
    """
    if seed < 0:
        return np.asarray
    random = np.random.default_rng(seed)

    def disturb(array: np.ndarray) -> np.ndarray:
        array = np.asarray(array)
        bits = np.dtype(f"i{array.itemsize}")  # the neighbours of a number are those of its bits
        moved = np.asarray(random.integers(0, 2, array.shape, np.int8)).astype(bits)
        moved *= 2 * ulps  # in place, as all that follows: arrays may be gigabytes
        moved -= ulps
        moved += array.view(bits)
        result = moved.view(array.dtype)
        small = array == 0 if ulps == 1 else array.view(bits) & np.iinfo(bits).max < ulps
        np.copyto(result, array, where=small | ~np.isfinite(array))
        return result

    return disturb
