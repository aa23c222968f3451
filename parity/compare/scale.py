"""The scale that a gap is relative to."""

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import sound


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
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def largest(array: np.ndarray) -> float:
    """The largest magnitude; NaN where any is."""
    array = array.astype(np.float64, copy=False)
    return float(np.maximum(np.max(array), -np.min(array)))
