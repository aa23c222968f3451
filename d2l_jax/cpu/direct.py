"""Convolution as one correlation, with gradients in the forms that XLA:CPU is fast at."""

from functools import reduce
from itertools import product
from operator import add
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.geometry import Geometry, Images, Pair, StridePhase, by_phases
from d2l_jax.cpu.materialised import materialised
from d2l_jax.cpu.thresholds import COLUMNS_PER_OUTPUT

Maps = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kernel_height kernel_width in_channels out_channels"]
CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


def convolution(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    """The convolution of `lax`."""
    return correlate(x, w, geometry.strides, geometry.padding, geometry.precision)


def input_gradient(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """The gradient of images of `shape`."""
    small = g.shape[0] * g.shape[1] * g.shape[2] < COLUMNS_PER_OUTPUT * w.shape[3]
    return (_input_gradient_by_columns if small else _input_gradient_by_phases)(g, w, shape, geometry)


def _input_gradient_by_phases(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """The gradient phase by phase: g correlated with a part of the flipped kernel, where `lax` multiplies zeros.

    Within a scan XLA:CPU is slow at the form of `lax` also where the stride is 1.
    """

    def of_phase(*axes: StridePhase) -> Images:
        lengths = [along.length for along in axes]
        if not all(along.places for along in axes):
            return jnp.zeros((g.shape[0], *lengths, w.shape[2]), g.dtype)
        part = w[tuple(slice(along.places.start, None, along.places.step) for along in axes)]
        low = [len(along.places) - 1 - along.window for along in axes]
        return correlate(g, flipped(part), (1, 1), _pads(g.shape[1:3], low, part.shape, lengths), geometry.precision)

    return materialised(by_phases(of_phase, shape[1:3], w.shape[:2], geometry))  # else what follows interleaves again


def _input_gradient_by_columns(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """The gradient as a sum over windows: one product gives the part of every pixel in each.

    It suits kernels so large beside the images that to flip one takes longer than that.
    """
    kh, kw, channels, outputs = w.shape
    height, width = shape[1:3]
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


def kernel_gradient(x: Images, g: Maps, shape: tuple[int, ...], geometry: Geometry) -> Kernel:
    """The gradient of the kernel: images correlated with g, batch and channels exchanged."""
    low = [p[0] for p in geometry.padding]
    padding = _pads(x.shape[1:3], low, _dilated(g, geometry.strides), shape[:2])
    one_by_one = {"rhs_dilation": geometry.strides, "precision": geometry.precision}
    return correlate(transposed_images(x), transposed_maps(g), (1, 1), padding, **one_by_one).transpose(1, 2, 0, 3)


def flipped(w: Kernel) -> Float[Array, "kernel_height kernel_width out_channels in_channels"]:
    """The kernel of the convolution that takes g back to the images."""
    return materialised(w.transpose(0, 1, 3, 2))[::-1, ::-1]


def transposed_images(x: Images) -> Float[Array, "channels height width batch"]:
    """The images with channels first and the batch last, over which a correlation sums."""
    return materialised(x).transpose(3, 1, 2, 0)


def transposed_maps(g: Maps) -> Float[Array, "out_height out_width batch out_channels"]:
    """The gradient of the result as the kernel that `transposed_images` are correlated with."""
    return materialised(g).transpose(1, 2, 0, 3)


def correlate(x: Array, w: Array, strides: Pair, padding: Any, precision: Any, **options: Any) -> Array:
    """`lax.conv_general_dilated`, channels last."""
    options |= {"dimension_numbers": CHANNELS_LAST, "precision": precision}
    return lax.conv_general_dilated(x, w, strides, padding, **options)


def _dilated(g: Maps, strides: Pair) -> list[int]:
    return [(n - 1) * s + 1 for n, s in zip(g.shape[1:3], strides)]


def _pads(size: Any, low: list[int], kernel: Any, out: Any) -> list[Pair]:
    """`low` before, and as much padding after (below 0: cropping) as makes the result `out` long."""
    return [(b, o + k - 1 - n - b) for n, b, k, o in zip(size, low, kernel, out)]
