"""Arrays of numpy's as PyTorch's tensors, and back."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A copy in numpy, which knows bfloat16 by JAX's type for it."""
    return as_numpy(tensor).copy()


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Returns the numbers in numpy, in the tensor's own memory where numpy knows its type."""
    tensor = tensor.detach().cpu().to_dense()
    return tensor.float().numpy().astype("bfloat16") if tensor.dtype == torch.bfloat16 else tensor.numpy()


def slot_array(value: Any) -> Any:
    """Returns an optimiser's slot as numbers: a tensor as an array, a number of Python's as a scalar of numpy's."""
    return to_numpy(value) if isinstance(value, torch.Tensor) else np.asarray(value)[()]


def slot_value(name: str, array: np.ndarray | np.generic, dtype: str, device: str) -> Any:
    """Returns an optimiser's slot as PyTorch holds it: the reverse of `slot_array`."""
    if isinstance(array, np.generic):
        return array.item()  # a counter that was no tensor: powers of it are those of Python
    if name == "step":
        return torch.tensor(array)
    return to_torch(array.astype(dtype)).to(device)


def products(outputs: Iterable[torch.Tensor], cotangents: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Returns numbers whose gradients are what the cotangents pull back through the outputs.

    Where it is given cotangents themselves, PyTorch loads its symbolic algebra.
    """
    return [(output * cotangent).sum() for output, cotangent in zip(outputs, cotangents, strict=True)]


def to_torch(array: np.ndarray) -> torch.Tensor:
    """A tensor of PyTorch's with the array's values, bfloat16 too."""
    if array.dtype.name == "bfloat16":
        return torch.as_tensor(array.astype(np.float32)).bfloat16()
    return torch.as_tensor(array)
