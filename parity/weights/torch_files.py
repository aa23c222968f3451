"""Files that torch.save or torch.jit.save wrote."""

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from parity.weights.foreign import foreign_archive
from parity.weights.stand_in import load, names_in

AGAIN = "save it again with torch.save(model.state_dict(), path)"
TRUSTED = ", or give what pickle.load returns where you trust its writer"
CHUNK = 1 << 20  # bytes that are read at a time
DTENSOR, SUBCLASS = "torch.distributed.tensor.DTensor", "torch._utils._rebuild_wrapper_subclass"
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
        raise InputError(f"{path} is {foreign_archive(members)}")
    _refuse_damaged(path)
    if any(name.endswith("/constants.pkl") for name in members):
        return _read_script(path)
    return _read(path)


def _refuse_damaged(path: Path) -> None:
    """Raises InputError where a tensor's bytes are not those that were saved; PyTorch does not look."""
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.file_size]
        if any(member.compress_type and "/data/" in member.filename for member in members):
            # PyTorch takes the compressed bytes themselves for numbers.
            raise corrupt(path, "it was packed again, with compression; `zip -0` packs without")
        wrong = [member.filename for member in members if not _whole(archive, member)]
    # Where all are wrong, they were saved without sums: torch.serialization.set_crc32_options(False).
    if wrong and len(wrong) < len(members):
        raise corrupt(path, f"{wrong[0]} in it was changed after it was saved; copy or download it again")


def _whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as file:
            while file.read(CHUNK):
                pass
    except (zipfile.BadZipFile, zlib.error):
        return False
    return True


def read_pickle(path: Path) -> Any:
    """Returns what torch.save of PyTorch 1.5 and before wrote. Raises InputError for a pickle of another kind."""
    with path.open("rb") as file:
        head = file.read(2 + len(LEGACY))
    if head[2:] != LEGACY:
        if len(head) < 2 + len(LEGACY):
            raise corrupt(path, "it is too short")
        raise corrupt(path, f"it is a plain pickle, which runs code where it is read; {AGAIN}{TRUSTED}")
    return _read(path)


def _read(path: Path) -> Any:
    try:
        names = names_in(path)
    except InputError:
        raise
    except Exception:  # pickletools of garbage
        raise corrupt(path, "its list of tensors is garbled or cut off") from None
    if DTENSOR in names:
        raise InputError(f"{path} holds one process's shards of tensors (DTensor); save tensor.full_tensor() of each")
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
        again = "save plain tensors, tensor.dequantize() of each" if SUBCLASS in names else AGAIN
        if "EOF" in str(error):
            raise corrupt(path, "its tensors are cut off; copy or download it again") from None
        raise corrupt(path, f"{reason} to be opened; {again}") from None


def _read_script(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            weights = dict(torch.jit.load(path, map_location="cpu").state_dict())
    except Exception:
        raise corrupt(path, f"its TorchScript program cannot be loaded here; {AGAIN}") from None
    if not weights:
        raise InputError(f"{path} is a TorchScript program without weights, as torch.jit.freeze leaves it; {AGAIN}")
    return weights


def _read_npz(path: Path) -> Any:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:
        again = "numpy.savez(path, **arrays) keeps each array under its name"
        raise corrupt(path, f"its arrays cannot be read without pickle; {again}") from None


def corrupt(path: Path, reason: str) -> InputError:
    """The error for a file that cannot be read."""
    return InputError(f"{path} is corrupt or holds more than weights: {reason}")
