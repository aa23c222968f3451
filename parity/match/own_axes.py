"""Arrays of Flax's whose parts stand along an axis of their own, as (2, d, f) of a gate and values, in any order."""

import itertools
import math
from collections.abc import Iterator, Sequence

from d2l_jax.weights.leaf import Leaf
from parity.match.apart import NUMBER, owner
from parity.match.orders import COUNTS, MOST
from parity.models.cutting import Cuts, Cutting, Piece


def along_own_axes(leaves: Sequence[Leaf]) -> Iterator[Cuts]:
    """Yields cuts of all arrays of a kind along an axis of parts, which PyTorch has one behind the other in a tensor.

    A layer's bias is cut as its kernel is.
    """
    kinds: dict[tuple[str, str], list[Leaf]] = {}
    for leaf in leaves:
        if _is_whole(leaf):
            place = ".".join(map(str, leaf.path[:-1]))
            kinds.setdefault((NUMBER.sub("#", place), NUMBER.sub("#", owner(leaf.key))), []).append(leaf)
    yield from itertools.islice(_cuts(list(kinds.values())), MOST)


def _cuts(kinds: Sequence[Sequence[Leaf]]) -> Iterator[Cuts]:
    for count, held in itertools.product(COUNTS, kinds):
        axes = [[axis for axis in _rows(leaf) if leaf.stored[axis] == count] for leaf in held]
        if not all(axes):
            continue
        orders = itertools.permutations(range(count))
        for end, order in itertools.product((0, -1) if any(len(each) > 1 for each in axes) else (0,), orders):
            yield {leaf.path: _cutting(leaf, each[end], order) for leaf, each in zip(held, axes, strict=True)}


def _is_whole(leaf: Leaf) -> bool:
    return not leaf.rows and not leaf.merged and not leaf.flip and leaf.split == leaf.stored and len(_rows(leaf)) > 1


def _rows(leaf: Leaf) -> tuple[int, ...]:
    """Returns Flax's axes that PyTorch's first is made of."""
    lengths = itertools.accumulate((leaf.stored[axis] for axis in leaf.axes), lambda one, other: one * other)
    ends = [number for number, length in enumerate(lengths, 1) if leaf.shape and length == leaf.shape[0]]
    return leaf.axes[: ends[0]] if ends else ()


def _cutting(leaf: Leaf, axis: int, order: Sequence[int]) -> Cutting:
    length = math.prod(leaf.stored[each] for each in _rows(leaf) if each != axis)
    pieces = tuple(Piece(1, leaf.key, (number * length, (number + 1) * length)) for number in order)
    return Cutting(axis, pieces)
