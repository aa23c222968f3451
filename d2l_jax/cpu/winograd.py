"""Convolution with fewer multiplications, along the height of images: Winograd's minimal filtering.

Where `taps` rows of the kernel meet the images, `outputs` rows of the result take `outputs + taps - 1` products of
combined rows instead of `outputs * taps`: half as many for four rows of a 3x3 window (Winograd 1980; Lavin and Gray
2016, who do so along both axes, which is less exact). A NaN or an infinity reaches all rows of its tile.
"""

from collections.abc import Iterable, Sequence
from functools import cache, reduce
from operator import add
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from d2l_jax.cpu import direct
from d2l_jax.cpu.direct import Images, Kernel, Maps, correlate, flipped, transposed_images, transposed_maps
from d2l_jax.cpu.geometry import Geometry, Pair, windows_along
from d2l_jax.cpu.thresholds import (
    WINOGRAD_BATCH,
    WINOGRAD_BITS,
    WINOGRAD_CHANNELS,
    WINOGRAD_NUMBERS,
    WINOGRAD_PIXELS,
    WINOGRAD_SHARE,
    WINOGRAD_WIDE,
)

POINTS = (0, 1, -1, 2, -0.5)  # the most exact ones: Barabasz et al. (2020)
MOST = len(POINTS) + 1  # products at a time


class Scheme(NamedTuple):
    """result = of_result @ ((of_kernel @ kernel) * (of_images @ images)), rows of each.

    Polynomials are multiplied by their values at points (Toom and Cook), and the transpose of that is a correlation.
    """

    of_images: np.ndarray
    of_kernel: np.ndarray
    of_result: np.ndarray

    @classmethod
    @cache
    def of(cls, outputs: int, taps: int) -> "Scheme":
        """The scheme for `outputs` rows of the result."""
        products = outputs + taps - 1
        points = np.array(POINTS[: products - 1], float)
        others = [np.delete(points, i) for i in range(len(points))]
        of_images = np.zeros((products, products))
        for row, roots in zip(of_images, [*others, points], strict=True):
            row[: len(roots) + 1] = np.poly(roots)[::-1]
        scale = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
        return cls(of_images, _powers(points, taps) / np.array([*scale, 1])[:, None], _powers(points, outputs).T)


def _powers(points: np.ndarray, count: int) -> np.ndarray:
    """Powers of each point; infinity, the last one, has the highest only."""
    return np.vstack([points[:, None] ** np.arange(count), np.eye(count)[-1:]])


class Tiling(NamedTuple):
    """`rows` of a result in tiles of `outputs`, the last one filled up."""

    rows: int
    taps: int
    outputs: int

    @classmethod
    def of(cls, rows: int, taps: int) -> "Tiling":
        """The tiling with the fewest products."""
        choices = [cls(rows, taps, outputs) for outputs in range(2, MOST - taps + 2)]
        return min(choices, key=lambda tiling: (tiling.products, -tiling.outputs))

    @property
    def tiles(self) -> int:
        return -(-self.rows // self.outputs)

    @property
    def products(self) -> int:
        return self.tiles * (self.outputs + self.taps - 1)

    @property
    def beyond(self) -> int:
        """Rows of the last tile that are not of the result."""
        return self.tiles * self.outputs - self.rows

    @property
    def scheme(self) -> Scheme:
        return Scheme.of(self.outputs, self.taps)

    def of_images(self, x: Array, axis: int = 1) -> list[Array]:
        """The combined rows of the images that go into each product."""
        rows = windows_along(x, axis, self.outputs + self.taps - 1, self.outputs)
        return [_combined(row, rows) for row in self.scheme.of_images]

    def of_result(self, g: Array, axis: int = 1) -> list[Array]:
        """The combined rows of the result's gradient, which are each product's gradient."""
        rows = windows_along(g, axis, self.outputs, self.outputs)
        return [_combined(column, rows) for column in self.scheme.of_result.T]


def suits(x: tuple[int, ...], w: tuple[int, ...], geometry: Geometry, dtype: Any) -> bool:
    """True where it saves time, and digits suffice for sums and differences of rows."""
    taps, _, inputs, outputs = w
    rows, columns = geometry.out_size(x, w)
    if geometry.strides != (1, 1) or not 1 < taps < MOST or jnp.finfo(dtype).bits < WINOGRAD_BITS:
        return False
    saves = Tiling.of(rows, taps).products <= WINOGRAD_SHARE * rows * taps
    pixels = x[0] * rows * columns
    cached = pixels * (inputs + outputs) < WINOGRAD_NUMBERS
    enough = inputs * outputs >= (WINOGRAD_CHANNELS if cached else WINOGRAD_WIDE) * (inputs + outputs)
    return saves and enough and pixels >= WINOGRAD_PIXELS


def convolution(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    """`direct.convolution` where the strides are 1."""
    tiling = _tiling(x.shape, w.shape, geometry)
    rows, sides = geometry.padding
    images = tiling.of_images(_filled(x, tiling, 1, rows))
    taps = jnp.split(w, len(w))
    kernels = [_combined(row, taps) for row in tiling.scheme.of_kernel]
    products = [
        correlate(image, kernel, (1, 1), ((0, 0), sides), geometry.precision)
        for image, kernel in zip(images, kernels, strict=True)
    ]
    whole = jnp.stack([_combined(row, products) for row in tiling.scheme.of_result], 2)
    return whole.reshape(len(x), -1, *whole.shape[3:])[:, : tiling.rows]


def input_gradient(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """The gradient of images: the convolution of g with the flipped kernel."""
    (top, bottom), (left, right) = geometry.padding
    height, width, *_ = w.shape
    padding = ((height - 1 - top, height - 1 - bottom), (width - 1 - left, width - 1 - right))
    return convolution(g, flipped(w), geometry._replace(padding=padding))


def kernel_gradient(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry) -> Kernel:
    """The gradient of the kernel: those of all products, combined."""
    tiling = _tiling(x.shape, shape, geometry)
    products = (_of_few if len(x) < WINOGRAD_BATCH else _of_many)(x, g, shape, geometry, tiling)
    return jnp.concatenate([_combined(column, products) for column in tiling.scheme.of_kernel.T])


def _of_few(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry, tiling: Tiling) -> list[Kernel]:
    """Gradients of the products, of images transposed before their rows are combined: faster for few."""
    images = tiling.of_images(_filled(transposed_images(x), tiling, 1, *geometry.padding))
    maps = tiling.of_result(_filled(transposed_maps(g), tiling, 0), axis=0)
    products = [
        correlate(image, map_, (1, 1), ((0, 0), (0, 0)), geometry.precision)
        for image, map_ in zip(images, maps, strict=True)
    ]
    return [product.transpose(1, 2, 0, 3) for product in products]


def _of_many(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry, tiling: Tiling) -> list[Kernel]:
    """Gradients of the products, of rows combined before they are transposed."""
    rows, sides = geometry.padding
    one_row = (1, *shape[1:])
    images = tiling.of_images(_filled(x, tiling, 1, rows))
    maps = tiling.of_result(_filled(g, tiling, 1))
    along = geometry._replace(padding=((0, 0), sides))
    return [direct.kernel_gradient(image, map_, one_row, along) for image, map_ in zip(images, maps, strict=True)]


def _tiling(x: tuple[int, ...], w: tuple[int, ...], geometry: Geometry) -> Tiling:
    return Tiling.of(geometry.out_size(x, w)[0], w[0])


def _filled(x: Array, tiling: Tiling, axis: int, rows: Pair = (0, 0), columns: Pair = (0, 0)) -> Array:
    """`x` with zeros before and after, and for the rest of the last tile; where that is below 0, cropped."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (rows[0], rows[1] + tiling.beyond, 0)
    config[axis + 1] = (*columns, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _combined(coefficients: Iterable[float], terms: Sequence[Array]) -> Array:
    """The sum of the terms, each times its coefficient; what is multiplied by 0 is left out."""
    pairs = [(float(c), term) for c, term in zip(coefficients, terms, strict=True) if c]
    return reduce(add, (term if c == 1 else term * c for c, term in pairs))
