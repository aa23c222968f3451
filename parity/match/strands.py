"""What is known number by number, as tensors: rows of PyTorch's, what is added to them, and where Flax holds them."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from d2l_jax.weights.leaf import Rows, Shape
from parity.match.slopes import Disordered

BLOCKS = 8  # of the rows of a tensor, such as gates, that may stand in another order beside other tensors


@dataclass(frozen=True, eq=False)
class Strand:
    """A tensor of PyTorch's, or rows of it.

    merged: keys of what Flax keeps the sum with
    places: of each number among all of Flax's
    """

    key: str
    rows: Rows | None
    merged: tuple[str, ...]
    places: Int[np.ndarray, "..."]


def strands(
    shapes: Mapping[str, Shape], parts: Int[np.ndarray, "numbers"], places: Sequence[Int[np.ndarray, "same"]]
) -> Iterator[Strand]:
    """Yields the strands of PyTorch's tensors. Raises Disordered where a sum is not that of equal rows.

    parts:  of each of PyTorch's numbers; those of one part are added up, wherever they are used
    places: of each part, Flax's numbers
    """
    tensors = [(key, n) for key, shape in shapes.items() for n in range(math.prod(shape))]
    homes: dict[tuple[str, int], tuple[int, tuple[str, ...]]] = {}
    members: dict[int, list[tuple[str, int]]] = {}
    for number, part in zip(tensors, parts.tolist(), strict=True):
        members.setdefault(part, []).append(number)
    for part, numbers in members.items():
        homes |= dict(zip(numbers, _homes(numbers, places[part].tolist()), strict=True))
    for key, shape in shapes.items():
        found = [homes[key, n] for n in range(math.prod(shape))]
        yield from _of_rows(key, np.array([place for place, _ in found]).reshape(shape), [kind for _, kind in found])


def _homes(numbers: Sequence[tuple[str, int]], places: Sequence[int]) -> list[tuple[int, tuple[str, ...]]]:
    """Returns where each number of one part stands, -1 where it is added to another, and what is added to it."""
    if len(places) == len(numbers):
        return [(place, ()) for place in places]
    if len(places) > 1 or len({n for _, n in numbers}) > 1:
        raise Disordered
    (_, *others) = (key for key, _ in numbers)
    return [(places[0], tuple(others)), *((-1, ()) for _ in others)]


def _of_rows(key: str, places: Int[np.ndarray, "..."], added: Sequence[tuple[str, ...]]) -> Iterator[Strand]:
    """Yields a tensor, or each run of its rows to which the same is added; none of rows that are added to others."""
    rows = len(places) if places.ndim else 1
    width = places.size // rows
    kinds = [{*zip(places.flat[n : n + width] < 0, added[n : n + width])} for n in range(0, places.size, width)]
    if any(len(kind) > 1 for kind in kinds):
        raise Disordered
    first = 0
    for (absent, merged), run in itertools.groupby(kind.pop() for kind in kinds):
        end = first + len([*run])
        if not absent and end - first == rows:
            yield Strand(key, None, merged, places)
        elif not absent:
            yield Strand(key, (first, end), merged, places[first:end])
        first = end


def in_order(
    found: Sequence[Strand],
    starts: Int[np.ndarray, "arrays"],
    sizes: Int[np.ndarray, "arrays"],
    turned: Collection[str],
    cells: Collection[int] = (),
) -> bool:
    """Tells whether numbers stand in an order in which they may be kept: along each axis in that of PyTorch's.

    So do the axes of a window in one array. Of a module's tensors that stand beside others, or in several arrays,
    blocks of rows may have another order, as gates do.
    starts, sizes: of Flax's arrays among all of its numbers
    turned:        tensors whose windows Flax may turn round
    cells:         numbers of arrays of Flax's own recurrent cells, whose gates have an order of their own
    """
    arrays = {strand: set(_arrays(strand, starts).flat) for strand in found}
    if not all(_window_stands(strand) for strand in found if len(arrays[strand]) == 1):
        return False
    among = {_owner(x) for x in found if not _alone(x, starts, sizes) or arrays[x] & {*cells}}
    return all(
        _runs_through(lines, BLOCKS if _owner(strand) in among else 1)
        or axis > 1
        and strand.key in turned
        and _runs_through(lines[..., ::-1], 1)
        for strand in found
        for axis, lines in _lines(strand, starts)
    )


def _window_stands(strand: Strand) -> bool:
    """Tells whether the axes of a window, those behind outputs and inputs, follow each other as in PyTorch."""
    window = strand.places[0, 0] if strand.places.ndim > 3 else np.zeros(1, int)
    first = window.flat[0]
    steps = [abs(int(window.take(1, axis).flat[0] - first)) for axis, length in enumerate(window.shape) if length > 1]
    return sorted(steps, reverse=True) == steps


def _owner(strand: Strand) -> str:
    return strand.key.rpartition(".")[0]


def _alone(strand: Strand, starts: Int[np.ndarray, "arrays"], sizes: Int[np.ndarray, "arrays"]) -> bool:
    """Tells whether a tensor has an array for itself."""
    arrays = _arrays(strand, starts)
    return strand.rows is None and len(np.unique(arrays)) == 1 and sizes[arrays.flat[0]] == strand.places.size


def _arrays(strand: Strand, starts: Int[np.ndarray, "arrays"]) -> Int[np.ndarray, "..."]:
    """Returns the number of the array in which each number stands."""
    return np.searchsorted(starts, strand.places, side="right") - 1


def _lines(strand: Strand, starts: Int[np.ndarray, "arrays"]) -> Iterator[tuple[int, Int[np.ndarray, "lines length"]]]:
    """Yields each axis, and the places along it in one array; -1 where a number is in another."""
    arrays = _arrays(strand, starts)
    for array in np.unique(arrays):
        own = np.where(arrays == array, strand.places, -1)
        for axis in range(own.ndim):
            yield axis, np.moveaxis(own, axis, -1).reshape(-1, own.shape[axis])


def _runs_through(places: Int[np.ndarray, "lines length"], blocks: int) -> bool:
    """Tells whether places grow along the last axis, or in so few blocks of one length, 2 at least; -1 is none."""
    for line in places:
        found = line[line >= 0]
        ranks = np.argsort(np.argsort(found))
        breaks = np.flatnonzero(np.diff(ranks) != 1) + 1
        block = math.gcd(*breaks.tolist(), len(found))
        if len(breaks) and not len(found) / blocks <= block > 1:
            return False
    return True
