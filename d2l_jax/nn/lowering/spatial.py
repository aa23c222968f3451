"""Convolution with gradients in the forms that XLA:CPU is fast at."""

from collections.abc import Iterator
from functools import reduce
from itertools import product
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.materialised import materialised
from d2l_jax.nn.lowering.phases import Pair, Phase, interleaved, phase_sizes

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kernel_height kernel_width in_channels out_channels"]
FEW = 4  # images


class Geometry(NamedTuple):
    """Where windows stand: their steps, and zeros (before, after) for height and width. Static."""

    strides: Pair
    padding: tuple[Pair, Pair]
    precision: Any = None

    def out_size(self, x: tuple[int, ...], w: tuple[int, ...]) -> Pair:
        """(height, width) of the result."""
        sizes = zip(x[1:3], self.padding, w[:2], self.strides)
        rows, columns = ((n + sum(p) - k) // s + 1 for n, p, k, s in sizes)
        return rows, columns

    def views(self, x: Images, window: tuple[int, ...]) -> Iterator[tuple[Pair, Images]]:
        """((row, column) in the window, what stands there in every window), of padded images."""
        (sh, sw), (kh, kw) = self.strides, window
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], window, self.strides))
        for i, j in product(range(kh), range(kw)):
            yield (i, j), x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]


def _convolve(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    return _correlate(x, w, geometry.strides, geometry.padding, geometry.precision)


def _forward(x: Images, w: Kernel, geometry: Geometry) -> tuple[Maps, tuple[Images, Kernel]]:
    return _convolve(x, w, geometry), (x, w)


def _backward(geometry: Geometry, inputs: tuple[Images, Kernel], g: Maps) -> tuple[Images, Kernel]:
    x, w = inputs
    small = g.shape[0] * g.shape[1] * g.shape[2] < 4 * w.shape[3]
    of_input = _input_gradient_by_columns if small else _input_gradient
    of_kernel = _kernel_gradient_by_rows if len(x) < FEW else _kernel_gradient
    return of_input(g, w, x.shape, geometry), of_kernel(x, g, w.shape, geometry)


convolve = jax.custom_vjp(_convolve, nondiff_argnums=(2,))
convolve.defvjp(_forward, _backward)


def _input_gradient(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """g correlated with the flipped kernel; of strided windows each phase of pixels meets a part of it.

    `lax` would put zeros into g for the strides, and multiply them. XLA:CPU wants this form within a scan, too.
    """
    strides, ((top, _), (left, _)), sizes = geometry.strides, geometry.padding, shape[1:3]
    counts = phase_sizes((sizes[0], sizes[1]), strides)

    def phase(first: int, second: int) -> Images:
        vertical = Phase.of(first, w.shape[0], strides[0], top)
        horizontal = Phase.of(second, w.shape[1], strides[1], left)
        if not vertical.places or not horizontal.places:
            return jnp.zeros((g.shape[0], *counts, w.shape[2]), g.dtype)
        part = w[vertical.places.start :: strides[0], horizontal.places.start :: strides[1]]
        flipped = lax.optimization_barrier(materialised(part.transpose(0, 1, 3, 2))[::-1, ::-1])
        low = [len(along.places) - 1 - along.window for along in (vertical, horizontal)]
        pads = _pads(g.shape[1:3], low, part.shape[:2], counts)
        return _correlate(g, flipped, (1, 1), pads, geometry.precision)

    image = interleaved(phase, strides, (sizes[0], sizes[1]))
    return image if strides == (1, 1) else materialised(image)


def _input_gradient_by_columns(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """One product gives what every pixel of a window gets; the windows are added up.

    For kernels so large, beside the images, that turning them round would take longer than that.
    """
    (kh, kw, channels, outputs), (height, width) = w.shape, shape[1:3]
    (top, _), (left, _) = geometry.padding
    flat = lax.dot_general(
        g.reshape(-1, outputs), w.reshape(-1, outputs), (((1,), (1,)), ((), ())), precision=geometry.precision
    )
    columns = materialised(flat).reshape(*g.shape[:3], kh, kw, channels)

    def spread(i: int, j: int) -> Images:
        edges = zip((i - top, j - left), (height, width), _dilated(g, geometry.strides), geometry.strides)
        config = [(low, n - low - length, s - 1) for low, n, length, s in edges]
        return lax.pad(columns[:, :, :, i, j], jnp.zeros((), g.dtype), [(0, 0, 0), *config, (0, 0, 0)])

    return reduce(add, (spread(i, j) for i, j in product(range(kh), range(kw))))


def _kernel_gradient(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry) -> Kernel:
    """The images correlated with g, batch and channels exchanged."""
    low = [p[0] for p in geometry.padding]
    turned = _correlate(
        lax.optimization_barrier(materialised(x).transpose(3, 1, 2, 0)),
        lax.optimization_barrier(materialised(g).transpose(1, 2, 0, 3)),
        (1, 1),
        _pads(x.shape[1:3], low, _dilated(g, geometry.strides), shape[:2]),
        geometry.precision,
        rhs_dilation=geometry.strides,
    )
    return turned.transpose(1, 2, 0, 3)


def _kernel_gradient_by_rows(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry) -> Kernel:
    """The same along the width alone: the rows of all images stand where the batch stood, once for each kernel row.

    XLA:CPU reads what is summed in pieces as long as that axis: few images would be pieces of few numbers.
    """
    (kernel_height, kernel_width, channels, outputs), (batch, rows, columns, _) = shape, g.shape
    down, right = geometry.strides
    width = (columns - 1) * right + kernel_width
    around = materialised(jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))[:, :, :width])
    above = jnp.stack([around[:, i : i + down * (rows - 1) + 1 : down] for i in range(kernel_height)])
    lines = above.transpose(0, 4, 3, 1, 2).reshape(kernel_height * channels, 1, width, batch * rows)
    of_output = materialised(g).transpose(2, 0, 1, 3).reshape(1, columns, batch * rows, outputs)
    turned = _correlate(
        lax.optimization_barrier(lines),
        lax.optimization_barrier(of_output),
        (1, 1),
        [(0, 0), (0, 0)],
        geometry.precision,
        rhs_dilation=(1, right),
    )
    return turned.reshape(kernel_height, channels, kernel_width, outputs).transpose(0, 2, 1, 3)


def _correlate(x: Array, w: Array, strides: Pair, padding: Any, precision: Any, **options: Any) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=numbers, precision=precision, **options)


def _dilated(g: Maps, strides: Pair) -> list[int]:
    return [(n - 1) * s + 1 for n, s in zip(g.shape[1:3], strides)]


def _pads(size: Any, low: list[int], kernel: Any, out: Any) -> list[Pair]:
    """With `low` before, as much padding after (below 0: cropping) as makes the result `out` long."""
    return [(b, o + k - 1 - n - b) for n, b, k, o in zip(size, low, kernel, out)]
