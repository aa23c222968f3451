"""Places of the windows of a convolution, and the gradient that flows back through them."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Pair = tuple[int, int]


def windows_along(x: Array, axis: int, window: int, stride: int) -> list[Array]:
    """Values at each place of all windows along an axis, one array for each place."""
    end = (x.shape[axis] - window) // stride * stride + 1
    return [lax.slice_in_dim(x, place, place + end, stride, axis) for place in range(window)]


class Geometry(NamedTuple):
    """Static places of windows: their strides, and zeros (before, after) for height and width."""

    strides: Pair
    padding: tuple[Pair, Pair]
    precision: Any = None

    def out_size(self, x: tuple[int, ...], w: tuple[int, ...]) -> Pair:
        """(height, width) of the result."""
        sizes = zip(x[1:3], self.padding, w[:2], self.strides)
        rows, columns = ((n + sum(p) - k) // s + 1 for n, p, k, s in sizes)
        return rows, columns

    def views(self, x: Images, window: tuple[int, ...]) -> Iterator[tuple[Pair, Images]]:
        """Pairs of a place (row, column) in the window and the values there in all windows, of padded images."""
        sh, sw = self.strides
        kh, kw = window
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], window, self.strides))
        for i, j in product(range(kh), range(kw)):
            yield (i, j), x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]


class StridePhase(NamedTuple):
    """Every stride-th pixel along an axis.

    places: places in a window at which these pixels can stand
    window: the number of the window in which the first pixel stands at the first place; at each later place it stands
            in the window before, and each later pixel in the window after
    length: how many pixels; some of the last may lie beyond the image
    """

    places: range
    window: int
    length: int

    @classmethod
    def of(cls, first: int, size: int, window: int, stride: int, padding: int) -> "StridePhase":
        """The phase of pixels first, first + stride, ... of `size`; windows begin `padding` before the image."""
        at = first + padding
        return cls(range(at % stride, window, stride), at // stride, -(-size // stride))


def by_phases(
    gradient: Callable[[StridePhase, StridePhase], Images],
    size: tuple[int, ...],
    window: tuple[int, ...],
    geometry: Geometry,
) -> Images:
    """The image whose every stride-th pixels, vertically and horizontally, are `gradient` of these two phases.

    Polyphase decomposition: all pixels of a phase meet the same places of windows.
    """
    vertical, horizontal = (
        [StridePhase.of(first, n, k, stride, before) for first in range(stride)]
        for n, k, stride, (before, _) in zip(size, window, geometry.strides, geometry.padding)
    )
    whole = jnp.stack([jnp.stack([gradient(v, h) for h in horizontal], 3) for v in vertical], 2)
    batch, rows, down, columns, right, channels = whole.shape
    return whole.reshape(batch, rows * down, columns * right, channels)[:, : size[0], : size[1]]
