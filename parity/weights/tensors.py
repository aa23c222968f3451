"""One tensor, of a file or of PyTorch's, as a numpy array; or the reason why it has no numbers to give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from d2l_jax.errors import InputError


@dataclass(frozen=True)
class Stored:
    """A tensor that is read, or computed, when it is needed.

    shape: of the array
    read:  returns it
    """

    shape: tuple[int, ...]
    read: Callable[[], Any]


def is_tensor(value: Any) -> bool:
    """Tells whether it has a shape and numbers."""
    return isinstance(value, Stored) or (hasattr(value, "shape") and hasattr(value, "dtype"))


def to_numpy(value: Any) -> np.ndarray:
    """Returns a tensor of any device and dtype as a numpy array.

    Raises InputError, a predicate without the tensor's name, for a tensor without plain numbers.
    """
    if isinstance(value, Stored):
        return to_numpy(value.read())
    if not hasattr(value, "detach"):
        return np.asarray(value)
    _refuse_without_numbers(value)
    value = value.detach().cpu().resolve_conj().resolve_neg()
    if str(value.dtype) == "torch.bfloat16":  # numpy has no bfloat16 of its own
        return value.float().numpy().astype(jnp.bfloat16)
    return value.numpy()


def _refuse_without_numbers(value: Any) -> None:
    dtype = str(value.dtype).removeprefix("torch.")
    layout = str(value.layout).removeprefix("torch.")
    if value.is_meta:
        raise InputError("is on the meta device: it has a shape and no values; load the real weights, then save them")
    if hasattr(value, "full_tensor"):
        raise InputError("is cut over several devices (DTensor); save tensor.full_tensor()")
    if value.is_quantized:
        raise InputError(f"is quantized ({dtype}); save it as tensor.dequantize()")
    if getattr(value, "is_nested", False):
        raise InputError("is a nested tensor, of rows of several lengths; save each row under a name of its own")
    if layout != "strided":
        raise InputError(f"is sparse ({layout}); save it as tensor.to_dense()")
    refuse_small_floats(dtype)


def refuse_small_floats(dtype: str) -> None:
    """Raises InputError for floats of 8 bits and less, under PyTorch's name or that of safetensors ("F8_E4M3")."""
    name = dtype.lower()
    if name.startswith(("float8", "f8_", "float4", "f4", "f6_")):
        raise InputError(f"is {dtype}, numbers that need a scale from elsewhere; save tensor.float() times its scale")
