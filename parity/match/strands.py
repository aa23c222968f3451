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


def disordered(
    found: Sequence[Strand],
    starts: Int[np.ndarray, "arrays"],
    shapes: Sequence[Shape],
    turned: Collection[str],
    cells: Collection[int] = (),
) -> list[str]:
    """Returns the tensors whose numbers stand in an order in which they may not be kept.

    Along each axis it is that of PyTorch's. So do the axes of a window in one array. Of a module's tensors that stand
    beside others, or in several arrays, blocks of rows may have another order, as gates do; and axes that an array of
    Flax's has and PyTorch joins, as the inputs and outputs of a kernel that a layer puts out, may be exchanged where
    their lengths tell them.
    starts, shapes: of Flax's arrays among all of its numbers
    turned:         tensors whose windows Flax may turn round
    cells:          numbers of arrays of Flax's own recurrent cells, whose gates have an order of their own
    """
    arrays = {strand: set(_arrays(strand, starts).flat) for strand in found}
    among = {_owner(x) for x in found if not _alone(x, starts, shapes) or arrays[x] & {*cells}}

    def stands(strand: Strand) -> bool:
        if len(arrays[strand]) == 1 and not _window_stands(strand):
            return False
        if _alone(strand, starts, shapes) and _has_axes_exchanged(strand, shapes[min(arrays[strand])]):
            return True
        blocks = BLOCKS if _owner(strand) in among else 1
        turns = strand.key in turned
        return all(
            _runs_through(lines, blocks) or turns and axis > 1 and _runs_through(lines[..., ::-1], 1)
            for axis, lines in _lines(strand, starts)
        )

    return [strand.key for strand in found if not stands(strand)]


def _has_axes_exchanged(strand: Strand, shape: Shape) -> bool:
    """Tells whether a tensor is an array of more axes, all of other lengths, with these in another order."""
    places = strand.places - strand.places.min()
    if not places.ndim < min(3, len(shape)) or len(shape) > 4 or len({*shape}) < len(shape):
        return False
    whole = np.arange(places.size).reshape(shape)
    return any(
        np.array_equal(whole.transpose(axes).reshape(places.shape), places)
        for axes in itertools.permutations(range(len(shape)))
    )


def _window_stands(strand: Strand) -> bool:
    """Tells whether the axes of a window, those behind outputs and inputs, follow each other as in PyTorch."""
    window = strand.places[0, 0] if strand.places.ndim > 3 else np.zeros(1, int)
    first = window.flat[0]
    steps = [abs(int(window.take(1, axis).flat[0] - first)) for axis, length in enumerate(window.shape) if length > 1]
    return sorted(steps, reverse=True) == steps


def _owner(strand: Strand) -> str:
    return strand.key.rpartition(".")[0]


def _alone(strand: Strand, starts: Int[np.ndarray, "arrays"], shapes: Sequence[Shape]) -> bool:
    """Tells whether a tensor has an array for itself."""
    arrays = _arrays(strand, starts)
    return strand.rows is None and len({*arrays.flat}) == 1 and math.prod(shapes[arrays.flat[0]]) == strand.places.size


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
