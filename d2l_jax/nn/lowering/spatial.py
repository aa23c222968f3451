"""Convolution with gradients in the forms that XLA:CPU is fast at."""

from functools import reduce
from itertools import product
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.geometry import Geometry, Images, Pair, Phase, by_phases
from d2l_jax.nn.lowering.materialised import materialised

Maps = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kernel_height kernel_width in_channels out_channels"]
FEW = 4  # images; from as many, `_kernel_gradient` is as fast


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
    """For each phase of pixels, g correlated with its part of the flipped kernel: `lax` would multiply zeros within g.

    XLA:CPU wants this form within a scan also where the stride is 1.
    """

    def of_phase(*axes: Phase) -> Images:
        lengths = [along.length for along in axes]
        if not all(along.places for along in axes):
            return jnp.zeros((g.shape[0], *lengths, w.shape[2]), g.dtype)
        part = w[tuple(slice(along.places.start, None, along.places.step) for along in axes)]
        flipped = lax.optimization_barrier(materialised(part.transpose(0, 1, 3, 2))[::-1, ::-1])
        low = [len(along.places) - 1 - along.window for along in axes]
        return _correlate(g, flipped, (1, 1), _pads(g.shape[1:3], low, part.shape, lengths), geometry.precision)

    image = by_phases(of_phase, shape[1:3], w.shape[:2], geometry)
    return image if geometry.strides == (1, 1) else materialised(image)  # else what follows interleaves again


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
    """The same as a 1-D convolution: the rows of all images are the contracted axis, stacked for each kernel row.

    XLA:CPU contracts in pieces as long as that axis, and few images would make them short.
    """
    (kernel_height, kernel_width, channels, outputs), (batch, rows, columns, _) = shape, g.shape
    (down, right), window = geometry.strides, (kernel_height, 1)
    width = (columns - 1) * right + kernel_width
    around = materialised(jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))[:, :, :width])
    above = jnp.stack([view for _, view in geometry._replace(strides=(down, 1)).views(around, window)])
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
