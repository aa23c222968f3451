"""Weights in several files: an index that says which holds what, or a folder of shards. One file is open at a time."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from parity.weights.foreign import foreign_folder
from parity.weights.tensors import Stored, is_tensor

Read = Callable[[Path], Any]
INDEX = ".index.json"
SHARD = re.compile(r"-(\d+)-of-(\d+)\.[a-z]+$")
PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.pth.tar")
# What trainers write beside a model's weights.
BESIDE = re.compile(r"optimizer|optim_|scheduler|scaler|rng_state|random_states|training_args|sampler|dl_state")
LISTED = 6  # files that an error names
DEPTH, LOOKED_INTO = 4, 1000  # folders below one that are looked into for weights, to name them


def read_index(path: Path, read: Read) -> dict[str, Any]:
    """Returns the tensors of all shards that an index names; one shard after the other is read when they are."""
    try:
        where = json.loads(path.read_text())["weight_map"]
        files = {str(key): path.parent / str(name) for key, name in where.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is no index of shards: it holds no weight_map of names to files") from None
    shards = sorted(set(files.values()))
    if gone := [file.name for file in shards if not file.is_file()]:
        raise InputError(f"{path} names {', '.join(gone[:3])}, which {path.parent} lacks; copy all shards there")
    tensors = _joined(shards, read)
    if lost := [key for key in files if key not in tensors]:
        raise InputError(f"{path} says that {files[lost[0]].name} holds {lost[0]}, which it does not")
    return {key: tensors[key] for key in tensors if key in files}


def read_folder(path: Path, read: Read) -> Any:
    """Returns the tensors of a folder's only weight file, of its index, or of all its shards."""
    if reason := foreign_folder(path):
        raise InputError(f"{path} is {reason}")
    files = _weight_files(path)
    indices = [index for pattern in PATTERNS for index in sorted(path.glob(pattern + INDEX))]
    kinds = {Path(file.name.removesuffix(INDEX)).suffix for file in [*indices, *files]}
    if not kinds:
        raise InputError(f"{path} holds no weights{_below(path)}")
    if len(kinds) == 1 and len(indices) == 1:
        return read_index(indices[0], read)
    if len(files) == 1 and not indices and not SHARD.search(files[0].name):
        return read(files[0])
    if len(kinds) == 1 and not indices and all(SHARD.search(file.name) for file in files):
        return _without_index(path, files, read)
    names = ", ".join(file.name for file in [*indices, *files][:LISTED])
    raise InputError(f"{path} holds several weight files; name one: {names}")


def _below(path: Path) -> str:
    """Returns what lies in the folders below, behind "holds no weights"."""
    found: list[str] = []
    for place in islice((place for depth in range(1, DEPTH + 1) for place in path.glob("*/" * depth)), LOOKED_INTO):
        if not place.is_dir():
            continue
        name = place.relative_to(path)
        if reason := foreign_folder(place):
            return f" itself; {name} in it is {reason}"
        # The folder of several, as shards are, or the only file.
        if files := _weight_files(place):
            found.append(str(name / files[0].name if len(files) == 1 else name))
    if not found:
        return ": no run of d2l-jax train, no weight file, no index of shards"
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return f" itself; name one below: {', '.join(sorted(found)[:LISTED])}{more}"


def _weight_files(path: Path) -> list[Path]:
    return [file for pattern in PATTERNS for file in sorted(path.glob(pattern)) if not BESIDE.match(file.name)]


def _without_index(path: Path, files: list[Path], read: Read) -> dict[str, Any]:
    counts = {(shard[1], shard[2]) for file in files if (shard := SHARD.search(file.name))}
    total = max(int(of) for _, of in counts)
    if len(files) != total:
        raise InputError(f"{path} holds {len(files)} of {total} shards; copy all of them there")
    return _joined(files, read)


def _joined(files: list[Path], read: Read) -> dict[str, Any]:
    shards = _Shards(read)
    return {
        key: Stored(tuple(value.shape), partial(shards.tensor, file, key))
        for file in files
        for key, value in shards.of(file).items()
    }


def refuse_part(path: Path) -> None:
    """Raises InputError for one of several shards."""
    shard = SHARD.search(path.name)
    if shard and int(shard[2]) > 1:
        raise InputError(f"{path} is one of {int(shard[2])} shards; name their folder, or the index, instead")


class _Shards:
    """The shard that was read last; memory holds no other."""

    def __init__(self, read: Read):
        self.read = read
        self.file: Path | None = None
        self.tensors: Mapping[str, Any] = {}

    def of(self, file: Path) -> Mapping[str, Any]:
        if file != self.file:
            self.tensors = {}
            content = self.read(file)
            if not isinstance(content, Mapping):
                raise InputError(f"{file} holds no state_dict (a mapping of names to tensors)")
            self.tensors = {key: value for key, value in content.items() if is_tensor(value)}
            self.file = file
        return self.tensors

    def tensor(self, file: Path, key: str) -> Any:
        return self.of(file)[key]
