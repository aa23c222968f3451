"""Weight files of every kind that people have, told apart by how they begin; a suffix proves nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.weights import file as safetensors
from d2l_jax.write import replacing
from parity.weights.foreign import HEAD, absent, foreign_file
from parity.weights.safetensors_file import read_safetensors
from parity.weights.shards import INDEX, read_folder, read_index, refuse_part
from parity.weights.torch_files import corrupt, read_pickle, read_zip

TORCH = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *TORCH)
# Of other programs' weight files: who names one means a file, not a folder.
OTHERS = (".h5", ".hdf5", ".keras", ".npz", ".npy", ".onnx", ".pkl", ".msgpack", ".gguf", ".pt2", ".tar", ".zip")


def read_state_dict(path: str | Path) -> Any:
    """Returns what a file or a folder holds: tensors by key, though some stand deeper and some are not read yet.

    Raises InputError if it is missing, of another kind, incomplete or corrupt.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return read_folder(path, read_file)
        if not path.is_file():
            raise InputError(absent(path))
        if path.name.endswith(INDEX):
            return read_index(path, read_file)
        refuse_part(path)
        return read_file(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def read_file(path: Path) -> Any:
    """Returns what one file holds; see `read_state_dict`."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    # Safetensors' own length may begin as another program's mark does.
    if head[5:9] == b"\0\0\0{":
        return read_safetensors(path)
    if reason := foreign_file(path, head):
        raise InputError(f"{path} is {reason}")
    if head.startswith(b"PK"):
        return read_zip(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if head.startswith(b"\x80"):
        return read_pickle(path)
    if path.suffix in SUFFIXES:
        raise corrupt(path, "it is empty" if not head else "it begins as no weight file does")
    raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")


def write_state_dict(tensors: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Writes .safetensors, or as torch.save does, whole or not at all. Raises InputError where it cannot be written."""
    path = Path(path)
    if path.suffix == ".safetensors":
        safetensors.write(tensors, path)
        return
    if path.suffix not in TORCH:
        raise InputError(f"{path}: unknown kind of weight file; {', '.join(SUFFIXES)} are right")
    import torch

    with replacing(path) as part:
        torch.save({key: torch.tensor(array) for key, array in tensors.items()}, part)
