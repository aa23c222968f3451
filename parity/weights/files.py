"""PyTorch's weight files: .safetensors, and .pt read weights-only."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from d2l_jax.errors import InputError
from d2l_jax.write import replacing

SUFFIXES = (".safetensors", ".pt", ".pth")


def read_state_dict(path: str | Path) -> Mapping[str, Any]:
    """The tensors of a file by key. Raises InputError if it is missing, of another kind or corrupt."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if path.suffix == ".safetensors":
        return _reading(path, load_file)
    if path.suffix in SUFFIXES:
        return _reading(path, _load_pt)
    raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")


def _reading(path: Path, load: Callable) -> Mapping[str, Any]:
    try:
        tensors = load(path)
    except Exception as error:  # a damaged file makes the libraries raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is corrupt or holds more than weights: {reason}") from None
    if not isinstance(tensors, Mapping) or not all(hasattr(v, "shape") for v in tensors.values()):
        raise InputError(f"{path} holds no state_dict (a mapping of names to tensors)")
    return tensors


def _load_pt(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def write_state_dict(tensors: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Writes .safetensors or .pt, whole or not at all. Raises InputError where it cannot be written."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")
    with replacing(path) as part:
        _save(tensors, part)


def _save(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file({key: np.ascontiguousarray(array).reshape(array.shape) for key, array in tensors.items()}, path)
        return
    import torch

    torch.save({key: torch.tensor(array) for key, array in tensors.items()}, path)
