"""Sizes of tensors and of gaps between them, and the scale that a gap is relative to."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import sound

PIECE = 1 << 17  # numbers
ZERO = 1e-13  # of a scale: what is below it is rounding alone


def scales_of(oracle: Record) -> dict[Key, tuple[float, str]]:
    """Each tensor's root mean square, and a note where another scale is right.

    What is zero in exact arithmetic (the gradient of a bias before batch normalisation) is rounding error
    alone: it is measured against the other tensors of the same layer. Where all gradients of a layer are (those of
    queries and keys, where all values are the same), they are measured against those of the other layers. What an
    optimiser keeps of such a gradient is its eps and that error, as Adamax's largest gradient so far.
    """
    own = {key: rms(array) if array.size and sound(array) else 0.0 for key, array in oracle.items()}
    layers, models = _largest_of(own, layer_of), _largest_of(own, lambda key: key._replace(tensor=""))

    def is_zero(gradient: Key) -> bool:
        return gradient in own and own[gradient] <= ZERO * layers[layer_of(gradient)]

    def scale(key: Key, size: float) -> tuple[float, str]:
        layer, model = layers[layer_of(key)], models[key._replace(tensor="")]
        if layer == 0:
            return 1.0, "; exactly zero"
        if key.phase == "gradients" and layer <= ZERO * model:
            return model, "; analytically zero like all of its layer, so measured against the other layers"
        if key.phase == "optimizer" and is_zero(key._replace(phase="gradients", slot="")):
            return layer, "; of a gradient that is analytically zero, so measured against its layer"
        if size <= ZERO * layer:
            return layer, "; analytically zero, so measured against its layer"
        return size, ""

    return {key: scale(key, size) for key, size in own.items()}


def _largest_of(sizes: Mapping[Key, float], group: Callable[[Key], Key]) -> dict[Key, float]:
    largest: dict[Key, float] = {}
    for key, size in sizes.items():
        largest[group(key)] = max(size, largest.get(group(key), 0.0))
    return largest


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


def relative_gap(oracle: np.ndarray, array: np.ndarray) -> float:
    """Returns the root mean square difference relative to the oracle's size, which may be 0; infinite if not finite."""
    gap = rms_gap(array, oracle) / (rms(oracle) or 1.0)
    return gap if np.isfinite(gap) else np.inf


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
