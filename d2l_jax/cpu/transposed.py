"""Transposed convolution without the zeros that a dilated input would have."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.conv import conv_general_dilated
from d2l_jax.cpu.direct import CHANNELS_LAST
from d2l_jax.cpu.switch import on_cpu

Pair = tuple[int, int]
Images = Float[Array, "batch height width in_channels"]
Maps = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kernel_height kernel_width group_outputs in_channels"]
Grouped = Float[Array, "down right inputs groups outputs"]


class Spread(NamedTuple):
    """Options of a transposed convolution, (height, width) each: PyTorch's, by its names."""

    stride: Pair
    padding: Pair
    output_padding: Pair
    dilation: Pair
    groups: int = 1

    def extent(self, kernel: tuple[int, ...]) -> Pair:
        """(height, width) that a kernel covers with its gaps."""
        height, width = ((k - 1) * d + 1 for k, d in zip(kernel, self.dilation))
        return height, width

    def out_size(self, size: tuple[int, ...], kernel: tuple[int, ...]) -> Pair:
        """(height, width) of the result: (n - 1) stride - 2 padding + extent + output_padding."""
        axes = zip(size, self.stride, self.padding, self.extent(kernel), self.output_padding)
        height, width = ((n - 1) * s - 2 * p + k + more for n, s, p, k, more in axes)
        return height, width


def conv_transpose(x: Images, w: Kernel, spread: Spread) -> Maps:
    """Adds up each pixel's multiple of the kernel, at `stride` times its place (book, section 14.10).

    On a CPU one convolution of stride 1 makes all pixels that lie between two of the input's, as channels, by a product
    with a matrix where it looks at fewer pixels than it makes; elsewhere `lax` convolves the input with zeros between
    its pixels.
    """
    return on_cpu(partial(_interleaved, spread=spread), partial(_dilated, spread=spread), x, w)


def _dilated(x: Images, w: Kernel, spread: Spread) -> Maps:
    axes = zip(spread.extent(w.shape), spread.padding, spread.output_padding)
    return lax.conv_general_dilated(
        x,
        _by_group(w, spread.groups).reshape(*w.shape[:2], w.shape[3] // spread.groups, -1)[::-1, ::-1],
        (1, 1),
        [(k - 1 - p, k - 1 - p + more) for k, p, more in axes],
        lhs_dilation=spread.stride,
        rhs_dilation=spread.dilation,
        dimension_numbers=CHANNELS_LAST,
        feature_group_count=spread.groups,
    )


def _interleaved(x: Images, w: Kernel, spread: Spread) -> Maps:
    """Row q s + r of the result is the sum over t of rows q - t of the input times rows t s + r of the kernel."""
    sh, sw = spread.stride
    parts = _parts(_by_group(w, spread.groups), spread)
    down, right, *_, outputs = parts.shape
    kernel = parts[::-1, ::-1].transpose(0, 1, 4, 5, 2, 3, 6).reshape(down, right, parts.shape[4], spread.groups, -1)
    convolve = _product if down * right <= sh * sw else _convolution
    y = convolve(x, kernel)
    batch, rows, columns, *_ = y.shape
    y = y.reshape(batch, rows, columns, spread.groups, sh, sw, outputs).transpose(0, 1, 4, 2, 5, 3, 6)
    y = y.reshape(batch, rows * sh, columns * sw, -1)
    edges = zip(spread.padding, spread.out_size(x.shape[1:3], w.shape), y.shape[1:3])
    crop = [(-p, p + length - n, 0) for p, length, n in edges]
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *crop, (0, 0, 0)])


def _product(x: Images, kernel: Grouped) -> Array:
    """The convolution of stride 1 as one product for each group: its kernel is so wide that all else takes longer."""
    down, right, inputs, groups, _ = kernel.shape
    batch, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (down - 1, down - 1), (right - 1, right - 1), (0, 0)))
    rows = height + down - 1
    columns = width + right - 1
    views = [padded[:, i : i + rows, j : j + columns] for i in range(down) for j in range(right)]
    seen = jnp.stack(views, 3).reshape(batch, rows, columns, down * right, groups, inputs)
    return jnp.einsum("bhwtgc,tcgo->bhwgo", seen, kernel.reshape(down * right, inputs, groups, -1))


def _convolution(x: Images, kernel: Grouped) -> Array:
    down, right, inputs, groups, _ = kernel.shape
    padding = ((down - 1, down - 1), (right - 1, right - 1))
    flat = kernel.reshape(down, right, inputs, -1)
    return conv_general_dilated(x, flat, (1, 1), padding, feature_group_count=groups, dimension_numbers=CHANNELS_LAST)


def _by_group(w: Kernel, groups: int) -> Float[Array, "kernel_height kernel_width inputs groups outputs"]:
    """The kernel as `lax` orders it: the inputs of a group, the groups, the outputs of a group."""
    height, width, outputs, channels = w.shape
    return w.reshape(height, width, outputs, groups, channels // groups).transpose(0, 1, 4, 3, 2)


def _parts(
    w: Float[Array, "kernel_height kernel_width inputs groups outputs"], spread: Spread
) -> Float[Array, "down right stride_height stride_width inputs groups outputs"]:
    """The kernel cut into pieces of a stride's size, with zeros in its gaps and behind it."""
    kh, kw = spread.extent(w.shape)
    sh, sw = spread.stride
    down = -(-kh // sh)
    right = -(-kw // sw)
    gaps = [(0, down * sh - kh, spread.dilation[0] - 1), (0, right * sw - kw, spread.dilation[1] - 1)]
    whole = lax.pad(w, jnp.zeros((), w.dtype), [*gaps, *[(0, 0, 0)] * 3])
    return whole.reshape(down, sh, right, sw, *w.shape[2:]).swapaxes(1, 2)
