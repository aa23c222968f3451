"""What flows back through strided windows: pixels that stand alike to the windows are computed together."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Pair = tuple[int, int]


class Phase(NamedTuple):
    """Every stride-th pixel along an axis.

    places: where in a window these pixels can stand
    window: the number of the window in which the first pixel stands at the first place; at each later place it stands
            in the window before, and each later pixel in the window after
    """

    places: range
    window: int

    @classmethod
    def of(cls, first: int, window: int, stride: int, padding: int) -> "Phase":
        """Of pixels first, first + stride, ..., where windows of that size begin `padding` before the image."""
        at = first + padding
        return cls(range(at % stride, window, stride), at // stride)


def phase_sizes(size: Pair, strides: Pair) -> Pair:
    """How many rows and columns of pixels a phase has; some of the last may lie beyond the image."""
    rows, columns = (-(-n // s) for n, s in zip(size, strides))
    return rows, columns


def interleaved(phase: Callable[[int, int], Images], strides: Pair, size: Pair) -> Images:
    """The image whose pixels (i, j), (i + stride, j), ... are `phase(i, j)`."""
    (down, right), (rows, columns) = strides, phase_sizes(size, strides)
    lines = [jnp.stack([phase(i, j) for j in range(right)], 3) for i in range(down)]
    whole = jnp.stack(lines, 2)
    return whole.reshape(whole.shape[0], rows * down, columns * right, -1)[:, : size[0], : size[1]]
