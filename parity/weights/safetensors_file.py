"""A .safetensors file whose tensors are read one by one."""

from functools import partial
from pathlib import Path
from typing import Any

from parity.weights.tensors import Stored, refuse_small_floats
from parity.weights.torch_files import corrupt


def read_safetensors(path: Path) -> dict[str, Any]:
    """Returns the tensors by key, none of which is read yet.

    `safetensors.torch.save_model` leaves one of two tied keys out and notes it; the note is text in its place.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, "numpy")
        slices = dict(zip(file.keys(), map(file.get_slice, file.keys())))
        ties = {key: f"tied to {other}" for key, other in (file.metadata() or {}).items() if other in slices}
        return ties | {
            key: Stored(tuple(part.get_shape()), partial(_tensor, file, key, part.get_dtype()))
            for key, part in slices.items()
        }
    except SafetensorError:
        raise corrupt(path, "its header is garbled, or its tensors are cut off") from None


def _tensor(file: Any, key: str, dtype: str) -> Any:
    refuse_small_floats(dtype)
    return file.get_tensor(key)
