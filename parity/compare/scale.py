"""Sizes of tensors and of gaps between them, and the scale that a gap is relative to."""

import math
from collections.abc import Iterator

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import sound

PIECE = 1 << 17  # numbers


def scales_of(oracle: Record) -> dict[Key, tuple[float, str]]:
    """Each tensor's root mean square, and a note where another scale is right.

    What is zero in exact arithmetic (the gradient of a bias before batch normalisation) is rounding error
    alone: it is measured against the other tensors of the same layer.
    """
    own = {key: rms(array) if array.size and sound(array) else 0.0 for key, array in oracle.items()}
    layers: dict[Key, float] = {}
    for key, size in own.items():
        layers[layer_of(key)] = max(size, layers.get(layer_of(key), 0.0))
    return {key: _scale(size, layers[layer_of(key)]) for key, size in own.items()}


def _scale(own: float, layer: float) -> tuple[float, str]:
    if layer == 0:
        return 1.0, "; exactly zero"
    if own <= 1e-13 * layer:
        return layer, "; analytically zero, so measured against its layer"
    return own, ""


def layer_of(key: Key) -> Key:
    """Returns the key that all tensors of one layer share: a name without its last part."""
    return key._replace(tensor=key.tensor.rpartition(".")[0])


def rms(array: np.ndarray) -> float:
    """The root mean square."""
    return _rms(pieces(array), array.size)


def largest(array: np.ndarray) -> float:
    """The largest magnitude; NaN where any is."""
    return _largest(pieces(array))


def rms_gap(one: np.ndarray, other: np.ndarray) -> float:
    """The root mean square of the difference, which is taken in float64."""
    return _rms(differences(one, other), one.size)


def largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    """The largest magnitude of the difference, which is taken in float64; NaN where any is."""
    return _largest(differences(one, other))


def differences(one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Yields one - other piece by piece."""
    for a, b in zip(pieces(one), pieces(other), strict=True):
        yield a - b


def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the numbers in float64, of a large tensor some rows at a time.

    These stay in the processor's cache, where the whole would take gigabytes of new memory.
    """
    if not array.ndim or array.size <= PIECE:
        yield array.astype(np.float64, copy=False)
        return
    rows = max(1, PIECE * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield array[start : start + rows].astype(np.float64, copy=False)


def _rms(numbers: Iterator[np.ndarray], size: int) -> float:
    return math.sqrt(sum(float(np.sum(np.square(part))) for part in numbers) / size)


def _largest(numbers: Iterator[np.ndarray]) -> float:
    return float(np.max([np.maximum(np.max(part), -np.min(part)) for part in numbers]))
