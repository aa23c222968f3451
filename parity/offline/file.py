"""One side's run as a file: arrays and one JSON text in an .npz, never pickled. Numpy only."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.write import replacing
from parity.arrays.key import Arrays, Key, Record

FORMAT = "parity recording 3"
MEASURED = ("noise", "subtracted", "corrected")  # by tensor


@dataclass(frozen=True)
class About:
    """The description of a recording: what was recorded, where, and how far two sides may be apart.

    side:       "torch" or "flax"
    full:       with the book's sizes
    given:      hash of what the run was given; sides whose hashes differ cannot be compared
    layout:     the axes of all tensors, the turns and the order of the random numbers, as in `parity.twin.twin.Problem`
    probes:     runs behind `noise` and `errors`
    noise, errors, subtracted, corrected: of PyTorch's side; by tensor, as `parity.compare` takes them, errors by
                tier first
    """

    side: str
    name: str
    section: str
    params: int
    full: bool
    given: str
    longest_sum: int
    layout: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    probes: int = 0
    noise: dict[Key, float] = field(default_factory=dict)
    errors: dict[str, dict[Key, float]] = field(default_factory=dict)
    subtracted: dict[Key, float] = field(default_factory=dict)
    corrected: dict[Key, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """The whole run of one side.

    records: by tier
    given:   states and batches under the names that `parity.offline.given` gives them; empty on Flax's side
    spread:  the noise of updates element by element, where `parity.compare.rows` asks for it
    """

    about: About
    records: dict[str, Record]
    given: Arrays = field(default_factory=dict)
    spread: Record = field(default_factory=dict)


def fingerprint(given: Mapping[str, np.ndarray]) -> str:
    """A hash of names, shapes, types and values."""
    found = hashlib.sha256()
    for name in sorted(given):
        array = np.ascontiguousarray(given[name])
        found.update(f"{name} {array.shape} {array.dtype.str};".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def save(recording: Recording, path: Path | str) -> None:
    """Writes the file whole or not at all. Raises InputError where it cannot be written."""
    arrays = {f"given/{name}": array for name, array in recording.given.items()}
    arrays |= {f"spread/{key}": array for key, array in recording.spread.items()}
    for tier, record in recording.records.items():
        arrays |= {f"record/{tier}/{key}": array for key, array in record.items()}
    if wrong := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise InputError(f"{wrong[0]} holds Python objects; a recording takes numbers")
    keys = {str(key): key for record in recording.records.values() for key in record}
    about = _with_keys(str, {field.name: getattr(recording.about, field.name) for field in fields(About)})
    text = json.dumps({"format": FORMAT, "tiers": list(recording.records), "keys": keys, **about})
    with replacing(Path(path)) as part, part.open("wb") as file:  # a path would be given the suffix .npz
        np.savez(file, about=np.frombuffer(text.encode(), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]


def load(path: Path | str) -> Recording:
    """Raises InputError if the file is missing, damaged, cut short or no recording."""
    if Path(path).is_file() and not zipfile.is_zipfile(path):  # for which NumPy advises to unpickle it
        raise InputError(f"{path} is damaged or no recording of `parity record`: it is no archive of arrays")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about.pop("format") != FORMAT:
            raise InputError(f"{path} is a recording of another version of parity; record it again")
        tiers = about.pop("tiers")
        keys = {text: Key(*parts) for text, parts in about.pop("keys").items()}
        about = _with_keys(keys.__getitem__, about)
        recording = Recording(
            About(**{f.name: about[f.name] for f in fields(About)}),
            {tier: {keys[text]: a for text, a in _below(arrays, f"record/{tier}/")} for tier in tiers},
            dict(_below(arrays, "given/")),
            {keys[text]: array for text, array in _below(arrays, "spread/")},
        )
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; `parity record NAME --side torch --out {path}` makes one") from None
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, AttributeError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise InputError(f"{path} is damaged or no recording of `parity record`: {_line(error)}") from None
    _check(path, recording)
    return recording


def _with_keys(renamed: Callable[[Any], Any], about: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of an About whose keys of tensors are renamed: to text, or back."""
    by_tier = {tier: {renamed(key): x for key, x in errors.items()} for tier, errors in about["errors"].items()}
    measured = {name: {renamed(key): x for key, x in about[name].items()} for name in MEASURED}
    return about | measured | {"errors": by_tier}


def _below(arrays: Arrays, start: str) -> Iterator[tuple[str, np.ndarray]]:
    return ((name.removeprefix(start), array) for name, array in arrays.items() if name.startswith(start))


def _check(path: Path | str, recording: Recording) -> None:
    about = recording.about
    if about.side not in ("torch", "flax") or not all(recording.records.values()) or not recording.records:
        raise InputError(f"{path} holds no run of either side; record it again")
    if about.side == "torch" and not _measured(recording):
        raise InputError(f"{path} is damaged: it does not say how far rounding moves each tensor")
    if any(array.dtype.kind not in "biuf" for record in recording.records.values() for array in record.values()):
        raise InputError(f"{path} is damaged: a tensor in it holds no real numbers")
    if about.side == "torch" and fingerprint(recording.given) != about.given:
        raise InputError(f"{path} is damaged: the states in it are not those that were run")


def _measured(recording: Recording) -> bool:
    """Tells whether PyTorch's side has a number for every tensor that is judged by one."""
    about = recording.about
    tiers = {"float64": about.noise, **about.errors}
    numbers = [x for measured in (*tiers.values(), about.subtracted, about.corrected) for x in measured.values()]
    whole = all(record.keys() <= tiers.get(tier, {}).keys() for tier, record in recording.records.items())
    return whole and all(isinstance(x, float | int) for x in (about.longest_sum, *numbers))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
