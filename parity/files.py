"""PyTorch's weight files: .safetensors, and .pt read weights-only."""

import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from d2l_jax.errors import InputError

SUFFIXES = (".safetensors", ".pt", ".pth")


def read_state_dict(path: str | Path) -> Mapping[str, Any]:
    """The tensors of a file by key. Raises InputError if it is missing, of another kind or corrupt."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if path.suffix == ".safetensors":
        return _reading(path, load_file, (SafetensorError, ValueError))
    if path.suffix in SUFFIXES:
        return _reading(path, _load_pt, (RuntimeError, pickle.UnpicklingError, EOFError, ValueError))
    raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")


def _reading(path: Path, load: Callable, errors: tuple[type[Exception], ...]) -> Mapping[str, Any]:
    try:
        tensors = load(path)
    except errors as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is corrupt or holds more than weights: {reason}") from None
    if not isinstance(tensors, Mapping) or not all(hasattr(v, "shape") for v in tensors.values()):
        raise InputError(f"{path} holds no state_dict (a mapping of names to tensors)")
    return tensors


def _load_pt(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def write_state_dict(tensors: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Writes .safetensors or .pt under a temporary name, then renames it: never half a file."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    try:
        _save(tensors, temporary, path.suffix)
        os.replace(temporary, path)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"cannot write {path}: {error}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def _save(tensors: Mapping[str, np.ndarray], path: str, suffix: str) -> None:
    if suffix == ".safetensors":
        save_file({key: np.ascontiguousarray(array).reshape(array.shape) for key, array in tensors.items()}, path)
        return
    import torch

    torch.save({key: torch.tensor(array) for key, array in tensors.items()}, path)
