"""What is known number by number, as tensors: rows of PyTorch's, what is added to them, and where Flax holds them."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from d2l_jax.weights.leaf import Rows, Shape
from parity.match.slopes import Different

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
    """Yields the strands of PyTorch's tensors. Raises Different where a sum is not that of equal rows.

    parts:  of each of PyTorch's numbers; those of one part are added up, wherever they are used
    places: of each part, Flax's numbers
    """
    keys = [*shapes]
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    starts = dict(zip(keys, [0, *ends], strict=False))
    owners = np.repeat(np.arange(len(keys)), np.diff([0, *ends]))
    members: dict[int, list[int]] = {}
    for number, part in enumerate(parts.tolist()):
        members.setdefault(part, []).append(number)
    home = np.full(len(parts), -1)
    beside: dict[int, tuple[str, ...]] = {}
    for part, numbers in members.items():
        theirs = places[part]
        if len(theirs) == len(numbers):
            home[numbers] = theirs
        elif len(theirs) == 1:
            home[numbers[0]] = theirs[0]
            beside[numbers[0]] = tuple(keys[owners[n]] for n in numbers[1:])
            if any(n - starts[keys[owners[n]]] != numbers[0] - starts[keys[owners[numbers[0]]]] for n in numbers[1:]):
                raise Different
        else:
            raise Different
    for key, shape in shapes.items():
        start = starts[key]
        own = home[start : start + math.prod(shape)].reshape(shape or (1,))
        width = own[:1].size
        kinds = [
            {(home[n] < 0, beside.get(n, ())) for n in range(start + row * width, start + (row + 1) * width)}
            for row in range(len(own))
        ]
        if any(len(kind) > 1 for kind in kinds):
            raise Different
        first = 0
        for (absent, merged), run in itertools.groupby(kind.pop() for kind in kinds):
            end = first + len([*run])
            if not absent:
                whole = end - first == len(own)
                yield Strand(
                    key, None if whole else (first, end), merged, own.reshape(shape) if whole else own[first:end]
                )
            first = end


def in_order(
    found: Sequence[Strand],
    starts: Int[np.ndarray, "arrays"],
    sizes: Int[np.ndarray, "arrays"],
    turned: Collection[str],
    cells: Collection[int] = (),
) -> bool:
    """Tells whether numbers stand in an order in which they may be kept: along each axis in that of PyTorch's.

    Of a module's tensors that stand beside others, or in several arrays, blocks of rows may have another, as gates do.
    starts, sizes: of Flax's arrays among all of its numbers
    turned:        tensors whose windows Flax may turn round
    cells:         numbers of arrays of Flax's own recurrent cells, whose gates have an order of their own
    """
    arrays = {strand: set(_arrays(strand, starts).flat) for strand in found}
    among = {_owner(x) for x in found if not _alone(x, starts, sizes) or arrays[x] & {*cells}}
    return all(
        _runs_through(lines, BLOCKS if _owner(strand) in among else 1)
        or axis > 1
        and strand.key in turned
        and _runs_through(lines[..., ::-1], 1)
        for strand in found
        for axis, lines in _lines(strand, starts)
    )


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
