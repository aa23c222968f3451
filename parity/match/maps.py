"""Weight maps as files."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, axis_of
from d2l_jax.write import write_json

FORMAT = "parity weight map 1"
CHECKPOINT = "a checkpoint is put into both models first, and compared with weights='as they are'"
FIELDS = {field.name for field in dataclasses.fields(Leaf)}


def save_map(leaves: list[Leaf], path: str | Path) -> None:
    """Writes the map as JSON. Raises InputError where `path` cannot be written."""
    entries = [dataclasses.asdict(leaf) | {"dtype": jnp.dtype(leaf.dtype).name} for leaf in leaves]
    write_json(Path(path), {"format": FORMAT, "leaves": entries})


def load_map(path: str | Path) -> list[Leaf]:
    """The exact inverse of `save_map`. Raises InputError if the file cannot be read or is no such map."""
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is no weight map, which is text; {CHECKPOINT}") from None
    except ValueError as error:
        raise InputError(f"{path} is no weight map: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("leaves"), list):
        raise InputError(f"{path} is no weight map: it should hold the format {FORMAT!r} and a list of leaves")
    return [_leaf(path, number, entry) for number, entry in enumerate(content["leaves"])]


def told_map(weights: Any) -> list[Leaf]:
    """Returns the map that is given, or that of a file. Raises InputError if it is none."""
    if isinstance(weights, str | Path):
        return load_map(Path(weights))
    if not isinstance(weights, Sequence) or not all(isinstance(leaf, Leaf) for leaf in weights):
        raise InputError(
            f"weights is no map; what parity.save_map wrote, or the weights of a Result, is right; {CHECKPOINT}"
        )
    return list(weights)


def _leaf(path: str | Path, number: int, entry: Any) -> Leaf:
    try:
        entry = {"numbers": ()} | entry  # which older maps lack
        if set(entry) != FIELDS:
            raise ValueError(f"its fields should be {', '.join(sorted(FIELDS))}")
        values: dict[str, Any] = {name: _in_tuples(value) for name, value in entry.items()}
        values["dtype"] = jnp.dtype(values["dtype"])
        leaf = Leaf(**values)
        _check(leaf)
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no weight map: leaf {number}: {error}") from error
    return leaf


def _in_tuples(value: Any) -> Any:
    return tuple(map(_in_tuples, value)) if isinstance(value, list) else value


def _check(leaf: Leaf) -> None:
    """Raises ValueError where the fields contradict each other."""
    if not isinstance(leaf.key, str) or not isinstance(leaf.path, tuple) or not isinstance(leaf.trained, bool):
        raise ValueError("key, path and trained should be a text, a list and true or false")
    for name in ("stored", "split", "shape", "axes", "flip"):
        if not all(type(n) is int and n >= 0 for n in getattr(leaf, name)):
            raise ValueError(f"{name} should be a list of sizes")
    if not _size(leaf.stored) == _size(leaf.split) == _size(leaf.shape):
        raise ValueError(f"{leaf.stored}, {leaf.split} and {leaf.shape} should hold as many numbers")
    if sorted(leaf.axes) != list(range(len(leaf.split))) or any(axis >= len(leaf.split) for axis in leaf.flip):
        raise ValueError(f"axes {leaf.axes} and flip {leaf.flip} should be axes of {leaf.split}")
    for path, stored, here, there in leaf.numbers:
        if not isinstance(path, tuple) or len(here) != len(there) or max(there, default=0) >= _size(stored):
            raise ValueError(f"numbers of {path} should be as many here as there, and within {stored}")
    if leaf.numbers and sorted(n for _, _, here, _ in leaf.numbers for n in here) != [*range(_size(leaf.stored))]:
        raise ValueError(f"numbers should name each of {leaf.stored} once")
    axis = axis_of(leaf.rows)
    if leaf.rows and not (axis < len(leaf.shape) and _fit(leaf.rows, leaf.shape[axis])):
        raise ValueError(f"rows {leaf.rows} should be as many as the shape {leaf.shape} has")


def _fit(rows: tuple[int, ...], count: int) -> bool:
    """Tells whether rows are so many: one run of them, or as long a run of every block."""
    first, end, *length = rows
    width = end - first
    return width == count if not length else len(length) < 3 and width > 0 and end <= length[0] and count % width == 0


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product
