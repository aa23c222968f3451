"""Buffers that hold no learned numbers, which PyTorch saved and a port computes: counts of positions, causal masks."""

from typing import Any

import numpy as np

from d2l_jax.errors import InputError
from parity.weights.tensors import to_numpy

FILL = -1000  # scores that a mask replaces are far below any other
MASKED = 3  # rows from which on a triangle of two numbers is no accident


def constants(tensors: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the keys of such tensors by what they are: the words before `left out`."""
    positions = [key for key, tensor in tensors.items() if _counts(tensor)]
    masks = [key for key, tensor in tensors.items() if _is_mask(tensor)]
    homes = {key.rpartition(".")[0] for key in masks}
    fills = [key for key, tensor in tensors.items() if key.rpartition(".")[0] in homes and _is_fill(tensor)]
    words = {
        "counts positions and is": positions,
        "is a causal mask and": masks,
        "is what masked scores are set to and": fills,
    }
    return {word: keys for word, keys in words.items() if keys}


def _counts(tensor: Any) -> bool:
    """Tells whether it holds the whole numbers from 0 on."""
    if np.prod(tensor.shape) != max(tensor.shape, default=0):
        return False
    array = _numbers(tensor)
    return array.size > 1 and array.dtype.kind in "iu" and np.array_equal(array.ravel(), np.arange(array.size))


def _is_mask(tensor: Any) -> bool:
    """Tells whether it is a square of one number on and below its diagonal, and of another one above."""
    rows = tensor.shape[-1] if tensor.shape else 0
    if rows < MASKED or np.prod(tensor.shape) != rows**2 or tuple(tensor.shape[-2:]) != (rows, rows):
        return False
    array = _numbers(tensor)
    if not array.size:
        return False
    square = array.reshape(rows, rows)
    seen, hidden = square[0, 0], square[0, 1]
    return bool(seen != hidden and np.array_equal(square, np.where(np.tri(rows, dtype=bool), seen, hidden)))


def _is_fill(tensor: Any) -> bool:
    return not tensor.shape and bool(np.all(_numbers(tensor) < FILL))


def _numbers(tensor: Any) -> np.ndarray:
    """Returns the tensor as an array; an empty one where it has no plain numbers."""
    try:
        return to_numpy(tensor)
    except InputError:
        return np.zeros(0)
