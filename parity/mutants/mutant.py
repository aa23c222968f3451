"""Mutants: places of Flax's side, drawn at random, each with one of its changes."""

import ast
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from d2l_jax.errors import InputError
from parity.mutants.places import Place, changed, sites

ROOMS = ("models", "nn", "losses", "optim", "algorithms")
FURTHER = ("init", "cpu", "train", "functional.py", "metrics.py")  # not drawn from unless they are named


@dataclass(frozen=True)
class Mutant:
    """A place with the change that is tried there; new: the changed source of the place."""

    place: Place
    label: str
    new: str

    @property
    def text(self) -> str:
        """Returns file, line, the old and the new source, and the line where these alone say little."""
        place = self.place
        line = f"{place.file}:{place.line}  {place.old} -> {self.new}"
        return line if len(place.old) > 12 else f"{line}  in  {place.code}"


def files_of(root: Path, paths: Sequence[Path] = ()) -> list[str]:
    """Lists the files of some paths, each a file or a folder of Flax's side; of all models and layers where none is.

    Raises InputError for a path that has none.
    """
    if not paths:
        return _python(root, [root / "d2l_jax" / room for room in ROOMS])
    allowed = _python(root, [root / "d2l_jax" / room for room in (*ROOMS, *FURTHER)])
    listed: list[str] = []
    for path in paths:
        there = (path if path.exists() else root / path).resolve()
        inside = [file for file in allowed if (root / file).resolve().is_relative_to(there)]
        if not inside:
            rooms = ", ".join(f"d2l_jax/{room}" for room in (*ROOMS, *FURTHER))
            raise InputError(f"{path} has no file that is changed; a file or a folder of {rooms} is right")
        listed += [file for file in inside if file not in listed]
    return sorted(listed)


def _python(root: Path, places: Iterable[Path]) -> list[str]:
    files = [file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place])]
    return sorted(file.relative_to(root).as_posix() for file in files)


def places_of(root: Path, files: Sequence[str]) -> list[Place]:
    """Lists all places of the files."""
    sources = {file: (root / file).read_text("utf-8") for file in files}
    return [site.place for file, source in sources.items() for site in sites(ast.parse(source), source, file)]


def draw(root: Path, places: Sequence[Place], seed: int, number: int) -> list[Mutant]:
    """Draws so many places, or all where there are fewer, and a change for each.

    A place comes in the order of a hash of the seed and of its own source: an edit elsewhere in its file, or another
    version of any library, does not change the draw.

    Raises InputError for less than one.
    """
    if number < 1:
        raise InputError(f"--number {number} is too few; 1 or more is right")
    by_hash = sorted(((_lot(seed, place), place) for place in places), key=lambda pair: pair[0])
    return [_mutant(root, place, lot) for lot, place in by_hash[:number]]


def _mutant(root: Path, place: Place, lot: int) -> Mutant:
    label = place.labels[lot % len(place.labels)]
    _, new = changed((root / place.file).read_text("utf-8"), place.file, place.number, label)
    return Mutant(place, label, new)


def _lot(seed: int, place: Place) -> int:
    return int(hashlib.sha256(f"{seed}|{place.key}".encode()).hexdigest(), 16)
