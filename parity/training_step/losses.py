"""The numbers that a step returns besides its state."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from parity.arrays import torch_arrays


def scalars(returned: Any, shaped: Callable[[Any, tuple], Any] | None = None) -> dict[str, Any]:
    """Returns the scalars by name; the first that has none is the loss.

    shaped: makes a scalar of an array with one number; None gives numpy's
    """
    named: dict[str, Any] = {}
    for name, value in _scalars(returned, ""):
        named.setdefault(name or "loss", shaped(value, ()) if shaped else to_numpy(value).reshape(()))
    return named


def _scalars(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _scalars(item, str(key))
    elif isinstance(value, tuple | list):
        fields = getattr(value, "_fields", [""] * len(value))
        for key, item in zip(fields, value, strict=True):
            yield from _scalars(item, key)
    elif hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            yield from _scalars(getattr(value, key), key)
    elif isinstance(value, float):
        yield name, np.float64(value)
    elif math.prod(getattr(value, "shape", (0,))) == 1 and "float" in str(getattr(value, "dtype", "")):
        yield name, value


def to_numpy(value: Any) -> np.ndarray:
    """Returns a number of either framework; of half precision, as float32."""
    array = torch_arrays.to_numpy(value) if isinstance(value, torch.Tensor) else np.asarray(value)
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
