"""Mutants: places of Flax's side, drawn at random, each with one of its changes."""

import ast
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from d2l_jax.errors import InputError
from parity.mutants.places import Place, Site, sites

ROOMS = ("models", "nn", "losses", "optim", "algorithms", "generate")
SURVIVED = ("survived", "equivalent")
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
    files = [file for place in places for file in (place.rglob("*.py") if place.suffix != ".py" else [place])]
    return sorted(file.relative_to(root).as_posix() for file in files)


def survey(root: Path, files: Sequence[str]) -> list[Site]:
    """Lists all places of the files."""
    sources = {file: (root / file).read_text("utf-8") for file in files}
    return [site for file, source in sources.items() for site in sites(ast.parse(source), source, file)]


def draw(surveyed: Sequence[Site], seed: int, number: int) -> list[Mutant]:
    """Draws so many places, or all where there are fewer, and a change for each.

    A place comes in the order of a hash of the seed and of its own source: an edit elsewhere in its file, or another
    version of any library, does not change the draw.

    Raises InputError for less than one.
    """
    if number < 1:
        raise InputError(f"--number {number} is too few; 1 or more is right")
    by_lot = {_lot(seed, site.place): site for site in surveyed}
    return [_mutant(by_lot[lot], lot) for lot in sorted(by_lot)[:number]]


def survivors(surveyed: Sequence[Site], file: Path) -> list[Mutant]:
    """Lists the mutants that survived the run whose JSON is in the file, equivalent ones among them.

    Left out are those whose place or change is no longer there.

    Raises InputError for a file that is no such JSON, and where none is left.
    """
    try:
        records = json.loads(file.read_text("utf-8"))["mutants"]
        survived = {record["key"]: record["change"] for record in records if record["verdict"] in SURVIVED}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{file} is not what `parity mutants --json` writes: {type(error).__name__}") from None
    listed = [(site, survived[site.place.key]) for site in surveyed if site.place.key in survived]
    listed = [(site, label) for site, label in listed if label in site.place.labels]
    if not listed:
        raise InputError(f"{file} has no survivor whose place is still there")
    return [Mutant(site.place, label, site.new(label)) for site, label in listed]


def _mutant(site: Site, lot: int) -> Mutant:
    label = site.place.labels[lot % len(site.place.labels)]
    return Mutant(site.place, label, site.new(label))


def _lot(seed: int, place: Place) -> int:
    return int(hashlib.sha256(f"{seed}|{place.key}".encode()).hexdigest(), 16)
