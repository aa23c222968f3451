"""Tables for bilinear resizing as PyTorch does it: which pixels an output is made of, and with which weights."""

from functools import cache
from typing import NamedTuple

import numpy as np

LARGEST = 2**15  # of PyTorch's integer weights, the first that is too large
MOST_BITS = 22


class Taps(NamedTuple):
    """The pixels that each output is a weighted sum of, for every length of a crop: 1, 2 ... `longest`.

    first:   number of the first pixel within the crop, int32 (longest, size)
    weights: of it and the pixels behind it; int16 (longest, size, taps), or floating-point numbers of sum 1
    bits:    binary places of integer weights, int32 (longest,)
    """

    first: np.ndarray
    weights: np.ndarray
    bits: np.ndarray


@cache
def taps(longest: int, size: int, dtype: str) -> Taps:
    """Returns the taps that make `size` pixels of 1 to `longest`, with antialiasing (`interpolate(antialias=True)`).

    dtype: of the images. "uint8" has integer weights, like PyTorch on processors with AVX2; any other has weights of
           its own type
    """
    real = np.dtype("float64" if dtype == "uint8" else dtype)
    lengths = np.arange(1, longest + 1)[:, None]
    scale = lengths.astype(real) / real.type(size)
    reach = np.maximum(scale, real.type(1))
    # PyTorch adds its halves in double precision, and rounds to the type of the weights behind them.
    centre = (scale * (np.arange(size)[None, :] + np.float64(0.5))).astype(real)
    first = np.maximum(((centre - reach).astype(np.float64) + 0.5).astype(np.int32), 0)
    count = np.minimum(((centre + reach).astype(np.float64) + 0.5).astype(np.int32), lengths) - first

    tap = np.arange(count.max())
    distance = (tap + first[..., None]).astype(real) - centre[..., None]
    distance = ((distance.astype(np.float64) + 0.5) * (real.type(1) / reach)[..., None]).astype(real)
    weights = np.where(tap < count[..., None], np.maximum(1 - np.abs(distance), 0), 0).astype(real)
    weights /= weights.sum(-1, keepdims=True)
    if dtype != "uint8":
        return Taps(first, weights, np.zeros(longest, np.int32))
    bits = _bits(weights.max((1, 2)))
    return Taps(first, (weights * 2.0 ** bits[:, None, None] + 0.5).astype(np.int16), bits)


def _bits(largest: np.ndarray) -> np.ndarray:
    """Returns the most binary places with which the largest weight of each crop stays below `LARGEST`."""
    places = np.arange(1, MOST_BITS + 1)
    too_large = (0.5 + largest[:, None] * 2.0**places).astype(np.int64) >= LARGEST
    return np.where(too_large.any(1), too_large.argmax(1), MOST_BITS).astype(np.int32)
