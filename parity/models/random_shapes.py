"""Shapes of random numbers that both frameworks mean alike: examples and heads as one axis, or one mask for all."""

import numpy as np
from jaxtyping import Float

Shape = tuple[int, ...]


def is_merged(ours: Shape, theirs: Shape) -> bool:
    """Tells whether the first axis of PyTorch's is the first two of Flax's."""
    return len(ours) > 2 and tuple(theirs) == (ours[0] * ours[1], *ours[2:])


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
