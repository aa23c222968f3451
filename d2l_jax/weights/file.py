"""A file of weights, `weights.safetensors`, that either framework reads."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.write import replacing

NAME = "weights.safetensors"


def write(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Writes a .safetensors file, whole or not at all. Raises InputError where it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # The library writes a transposed array's memory as it lies, and makes a number an array of one.
    arrays = {key: np.ascontiguousarray(array).reshape(array.shape) for key, array in tensors.items()}
    with replacing(path) as part:
        part.touch()
        mode = part.stat().st_mode  # the library's own is for this user alone
        try:
            save_file(arrays, part)
            part.chmod(mode)
        except SafetensorError as error:  # what the library makes of a full disk
            raise OSError(str(error).split("\n")[0]) from error


def read(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a .safetensors file. Raises InputError where there is none, or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot read the weights of {path}: it is damaged, or no .safetensors file") from error
