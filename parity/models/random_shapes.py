"""Shapes of random numbers that both frameworks mean alike: axes in another order or joined, or one mask for all."""

import itertools
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from parity.arrays.layout import fitting, inverse, squeezed

Shape = tuple[int, ...]
RANK = 5  # of arrays whose axes may stand in any order


@dataclass(frozen=True)
class Layout:
    """How an array of Flax's becomes PyTorch's: reshaped to `split`, its axes ordered, the result reshaped."""

    ours: Shape
    split: Shape
    axes: Shape
    theirs: Shape

    def to_torch(self, x: Any) -> Any:
        """Returns an array of Flax's in PyTorch's layout."""
        return x.reshape(self.split).transpose(self.axes).reshape(self.theirs)

    def to_flax(self, x: Any) -> Any:
        """Returns an array of PyTorch's in Flax's layout."""
        split = [self.split[axis] for axis in self.axes]
        return x.reshape(split).transpose(inverse(self.axes)).reshape(self.ours)

    @property
    def is_usual(self) -> bool:
        """Tells whether the first axis stays first, as that of examples does in most models."""
        return self.axes[:1] in ((), (0,))

    @property
    def keeps_or_moves_channels(self) -> bool:
        """Tells whether all axes stay, or the last alone moves behind the first."""
        rank = len(self.axes)
        return self.axes in (tuple(range(rank)), (0, rank - 1, *range(1, rank - 1)))


def layouts(ours: Shape, theirs: Shape) -> Iterator[Layout]:
    """Yields the ways in which an array of Flax's may be PyTorch's, the likelier first; axes of size 1 mean nothing."""
    own, other = squeezed(ours), squeezed(theirs)
    split = own if len(own) >= len(other) else other
    orders = _permuted(ours, theirs) if len(own) == len(other) else _joined(own, other)
    for axes in dict.fromkeys(orders):
        order = axes if split is own else inverse(axes)
        yield Layout(tuple(ours), own if split is own else tuple(other[axis] for axis in axes), order, tuple(theirs))


def _permuted(ours: Shape, theirs: Shape) -> Iterator[Shape]:
    """Yields orders of the axes longer than 1 that make the one shape the other."""
    longer = [axis for axis, size in enumerate(ours) if size != 1]
    for axes in fitting(ours, theirs):
        yield tuple(longer.index(axis) for axis in axes if ours[axis] != 1)
    yield from fitting(squeezed(ours), squeezed(theirs))


def _joined(ours: Shape, theirs: Shape) -> Iterator[Shape]:
    """Yields orders of the axes of the shape with more of them, after which neighbours are one of the other's."""
    more, fewer = sorted((ours, theirs), key=len, reverse=True)
    if len(more) > RANK or math.prod(more) != math.prod(fewer):
        return
    ends = set(itertools.accumulate(fewer, operator.mul))
    for axes in itertools.permutations(range(len(more))):
        if ends <= set(itertools.accumulate((more[axis] for axis in axes), operator.mul)):
            yield axes


def is_shared(ours: Shape, theirs: Shape) -> bool:
    """Tells whether Flax draws once what PyTorch draws for every example, or every head."""
    theirs = _heads_apart(ours, theirs)
    return ours != theirs and len(ours) == len(theirs) and all(m in (1, n) for m, n in zip(ours, theirs))


def spread(value: Float[np.ndarray, "..."], shape: Shape) -> Float[np.ndarray, "..."]:
    """Returns the numbers for a request of PyTorch's, which are those of Flax's once for each example and head."""
    return np.broadcast_to(value, _heads_apart(value.shape, shape)).reshape(shape).copy()


def _heads_apart(ours: Shape, theirs: Shape) -> Shape:
    """Returns PyTorch's shape with two axes for examples and heads, where Flax's has one more axis.

    One of Flax's tells their number; where both are 1, every row has the same numbers, whatever it is.
    """
    if len(theirs) < 3 or len(ours) != len(theirs) + 1:
        return theirs
    examples, heads = ours[:2]
    examples = theirs[0] // heads if examples == 1 else examples
    heads = theirs[0] // examples if examples else 0
    return (examples, heads, *theirs[1:]) if examples * heads == theirs[0] else theirs
