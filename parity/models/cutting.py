"""How one array falls into pieces along an axis, and the names of these pieces, which a weight map keeps."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from d2l_jax.weights.leaf import Rows
from parity.models.calls import Path

PART = re.compile(
    r"(.+)\[axis (\d+), (\d+) to (\d+)(?: of (\d+) blocks)?\]"
    r"/([^\[]+)(?:\[rows (\d+) to (\d+)(?: of every (\d+))?\])?"
)


@dataclass(frozen=True)
class Piece:
    """A part of an array: how wide it is, and which of PyTorch's tensors, or which rows of it; as in Leaf."""

    width: int
    key: str
    rows: Rows | None = None
    merged: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{' + '.join((self.key, *self.merged))}{_in_words(self.rows)}"


@dataclass(frozen=True)
class Cutting:
    """How an array falls into pieces along an axis: one behind the other, or `blocks` times so, as in every head."""

    axis: int
    pieces: tuple[Piece, ...]
    blocks: int = 1

    def __str__(self) -> str:
        names = ", ".join(map(str, self.pieces))
        return f"{names}, {'one behind the other' if self.blocks == 1 else f'in turn, in {self.blocks} blocks'}"

    @property
    def size(self) -> int:
        """Returns how long the axis is."""
        return self.blocks * self.block

    @property
    def block(self) -> int:
        """Returns how long the pieces are that follow each other."""
        return sum(piece.width for piece in self.pieces)

    def places(self, path: Path) -> Iterator[tuple[Path, Piece, int]]:
        """Yields (path, piece, where it begins in a block) of each piece of the array at a path."""
        ends = itertools.accumulate(piece.width for piece in self.pieces)
        for piece, end in zip(self.pieces, ends, strict=True):
            of = f" of {self.blocks} blocks" if self.blocks > 1 else ""
            name = f"{path[-1]}[axis {self.axis}, {end - piece.width} to {end}{of}]/{piece}"
            yield (*path[:-1], name), piece, end - piece.width

    def apart(self, x: Any) -> list[Any]:
        """Returns the pieces of an array, or their shapes; of an optimiser's state that is no such array, itself."""
        shape = tuple(getattr(x, "shape", ()))
        before, behind = shape[: self.axis], shape[self.axis + 1 :]
        if shape[self.axis :][:1] != (self.size,):
            return [x for _ in self.pieces]
        if isinstance(x, jax.ShapeDtypeStruct):
            widths = [self.blocks * piece.width for piece in self.pieces]
            return [jax.ShapeDtypeStruct((*before, width, *behind), x.dtype) for width in widths]
        blocks = x.reshape(*before, self.blocks, self.block, *behind)
        pieces = []
        for _, piece, start in self.places(("",)):
            part = blocks[(slice(None),) * (self.axis + 1) + (slice(start, start + piece.width),)]
            pieces.append(part.reshape(*before, self.blocks * piece.width, *behind))
        return pieces

    def joined(self, parts: Sequence[Any]) -> Any:
        """Returns the reverse of `apart`."""
        lengths = [getattr(part, "shape", ())[self.axis :][:1] for part in parts]
        if lengths != [(self.blocks * piece.width,) for piece in self.pieces]:
            return parts[0]
        shape = parts[0].shape
        before, behind = shape[: self.axis], shape[self.axis + 1 :]
        widths = [piece.width for piece in self.pieces]
        blocks = [part.reshape(*before, self.blocks, w, *behind) for part, w in zip(parts, widths, strict=True)]
        return jnp.concatenate(blocks, self.axis + 1).reshape(*before, self.size, *behind)


def names_rows(path: Path) -> bool:
    """Tells whether a path is that of a piece that is some rows of PyTorch's tensor."""
    found = PART.fullmatch(str(path[-1]))
    return bool(found and found[7])


def whole_name(last: Any) -> Any:
    """Returns the name of the array of which `last` names a piece; of any other, its own."""
    found = PART.fullmatch(str(last))
    return found[1] if found else last


Cuts = Mapping[Path, Cutting]


def _in_words(rows: Rows | None) -> str:
    if rows is None:
        return ""
    first, end, *of = rows
    return f"[rows {first} to {end}{f' of every {of[0]}' if of else ''}]"


def cuts_of(paths: Iterable[Path]) -> Cuts:
    """Returns the cuts that the paths of pieces tell, as a map names them."""
    found = [(path[:-1], match.groups()) for path in paths if (match := PART.fullmatch(str(path[-1])))]
    wholes: dict[Path, list[tuple[int, int, int, Piece]]] = {}
    for above, (last, axis, start, end, blocks, key, *rows) in found:
        of = tuple(int(n) for n in rows if n)
        first, *merged = key.split(" + ")
        piece = Piece(int(end) - int(start), first, of or None, tuple(merged))  # type: ignore[arg-type]
        wholes.setdefault((*above, last), []).append((int(start), int(axis), int(blocks or 1), piece))
    cuts = {}
    for path, parts in wholes.items():
        parts.sort(key=lambda part: part[0])
        cuts[path] = Cutting(parts[0][1], tuple(piece for *_, piece in parts), parts[0][2])
    return cuts
