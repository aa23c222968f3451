"""Files that torch.save or torch.jit.save wrote."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from parity.weights.stand_in import load, names_in

AGAIN = "save it again with torch.save(model.state_dict(), path)"
LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # the number with which torch.save began until 1.5


def read_zip(path: Path) -> Any:
    """Returns what a zip archive holds: of torch.save, torch.jit.save or numpy.savez."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile:
        raise corrupt(path, "the archive is not whole; it was cut off while it was saved or copied") from None
    if members and all(name.endswith(".npy") for name in members):
        return _read_npz(path)
    if any(name.endswith(("/archive_format", "/serialized_exported_program.json")) for name in members):
        raise InputError(f"{path} is an exported program; save torch.export.load(path).state_dict with torch.save")
    if not any(name.endswith("/data.pkl") for name in members):
        raise corrupt(path, "it is an archive that torch.save did not write")
    if any(name.endswith("/constants.pkl") for name in members):
        return _read_script(path)
    return _read(path)


def read_pickle(path: Path) -> Any:
    """Returns what torch.save of PyTorch 1.5 and before wrote. Raises InputError for a pickle of another kind."""
    with path.open("rb") as file:
        head = file.read(2 + len(LEGACY))
    if head[2:] != LEGACY:
        if len(head) < 2 + len(LEGACY):
            raise corrupt(path, "it is too short")
        raise corrupt(path, f"it is a plain pickle, which runs code where it is read; {AGAIN}")
    return _read(path)


def _read(path: Path) -> Any:
    try:
        names = names_in(path)
    except InputError:
        raise
    except Exception:  # pickletools of garbage
        raise corrupt(path, "its list of tensors is garbled or cut off") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensors' kinds and storages, for programmers of PyTorch
            return load(path, names)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes PyTorch raise almost anything
        # PyTorch's own text is written for torch.load's caller, and coloured.
        classes = [name for name in names if not name.startswith(("torch.", "collections.", "builtins."))]
        reason = f"it needs {', '.join(classes[:3])}" if classes else f"PyTorch stops with {type(error).__name__}"
        raise corrupt(path, f"{reason} to be opened; {AGAIN}") from None


def _read_script(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
    except Exception:
        raise corrupt(path, f"its TorchScript program cannot be loaded here; {AGAIN}") from None


def _read_npz(path: Path) -> Any:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:
        raise corrupt(path, "its arrays cannot be read without pickle") from None


def corrupt(path: Path, reason: str) -> InputError:
    """The error for a file that cannot be read."""
    return InputError(f"{path} is corrupt or holds more than weights: {reason}")
