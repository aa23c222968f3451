"""Convolution of few channels, as a product with a band matrix."""

from math import prod

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from d2l_jax.cpu.dense import matmul
from d2l_jax.cpu.geometry import Geometry
from d2l_jax.cpu.materialised import materialised
from d2l_jax.cpu.thresholds import BAND_COLUMNS, BAND_INPUTS, BAND_NUMBERS


def suits_band(x: tuple[int, ...], w: tuple[int, ...]) -> bool:
    """True where the zeros of a band, and the patches, cost less than the short sums of `lax`."""
    return w[2] < BAND_INPUTS and (w[2] == 1 or prod(x) <= BAND_NUMBERS)


def banded(
    x: Float[Array, "batch height width channels"],
    w: Float[Array, "kernel_height kernel_width channels out_channels"],
    geometry: Geometry,
) -> Float[Array, "batch out_height out_width out_channels"]:
    """The convolution, computed for a few pixels of a row at once: one product of all patches with a band matrix.

    These pixels see a patch together, each a window of it; the matrix is (patch * channels, pixels * out_channels).
    """
    rows, columns = geometry.out_size(x.shape, w.shape)
    pixels = min(columns, max(2, BAND_COLUMNS // w.shape[3]))
    patches = _patches(materialised(x), w.shape, pixels, geometry)
    y = matmul(patches, _band(w, pixels, geometry), geometry.precision)
    return y.reshape(x.shape[0], rows, -1, w.shape[3])[:, :, :columns]


def _patches(x: Array, w: tuple[int, ...], pixels: int, geometry: Geometry) -> Float[Array, "batch rows tiles patch"]:
    """All that each group of `pixels` results sees, flat."""
    batch, height, width, channels = x.shape
    kernel_height, kernel_width, *_ = w
    rows, columns = geometry.out_size(x.shape, w)
    down, step = geometry.strides
    patch_width = step * (pixels - 1) + kernel_width
    shift = step * pixels
    tiles = -(-columns // pixels)
    (top, bottom), (left, _) = geometry.padding
    right = max(0, shift * (tiles - 1) + patch_width - width - left)
    flat = x.reshape(batch, height, width * channels)
    flat = jnp.pad(flat, ((0, 0), (top, bottom), (left * channels, right * channels)))
    starts = (i * shift * channels for i in range(tiles))
    tall = jnp.stack([flat[:, :, start : start + patch_width * channels] for start in starts], 2)
    return jnp.concatenate([tall[:, i : i + down * (rows - 1) + 1 : down] for i in range(kernel_height)], -1)


def _band(w: Array, pixels: int, geometry: Geometry) -> Float[Array, "patch outputs"]:
    """The band matrix: the kernel once for each pixel, each a step further on, and zeros."""
    step = geometry.strides[1]
    at = np.arange(pixels)
    meets = np.zeros((w.shape[1], step * (pixels - 1) + w.shape[1], pixels), w.dtype)
    for j in range(w.shape[1]):
        meets[j, at * step + j, at] = 1
    return jnp.einsum("hjcd,jwo->hwcod", w, meets).reshape(-1, pixels * w.shape[3])
