"""Convolution of few channels, as a product with a band matrix."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from d2l_jax.cpu.dense import matmul
from d2l_jax.cpu.geometry import Geometry
from d2l_jax.cpu.materialised import materialised
from d2l_jax.cpu.thresholds import BAND_COLUMNS, BAND_INPUTS


def suits_band(w: tuple[int, ...]) -> bool:
    """True where the zeros of a band cost less than the short sums of `lax`."""
    return w[2] < BAND_INPUTS


def banded(
    x: Float[Array, "batch height width channels"],
    w: Float[Array, "kernel_height kernel_width channels out_channels"],
    geometry: Geometry,
) -> Float[Array, "batch out_height out_width out_channels"]:
    """A few pixels of a row of the result at once: together they see a patch, of which each sees a window.

    The kernel becomes a band matrix (patch * channels, pixels * out_channels); all patches are one product with it.
    """
    rows, columns = geometry.out_size(x.shape, w.shape)
    pixels = min(columns, max(2, BAND_COLUMNS // w.shape[3]))
    patches = _patches(materialised(x), w.shape, pixels, geometry)
    y = matmul(patches, _band(w, pixels, geometry), geometry.precision)
    return y.reshape(x.shape[0], rows, -1, w.shape[3])[:, :, :columns]


def _patches(x: Array, w: tuple[int, ...], pixels: int, geometry: Geometry) -> Float[Array, "batch rows tiles patch"]:
    (batch, height, width, channels), (kernel_height, kernel_width, *_) = x.shape, w
    (rows, columns), (down, step) = geometry.out_size(x.shape, w), geometry.strides
    long, far, tiles = step * (pixels - 1) + kernel_width, step * pixels, -(-columns // pixels)
    (top, bottom), (left, _) = geometry.padding
    right = max(0, far * (tiles - 1) + long - width - left)
    flat = x.reshape(batch, height, width * channels)
    flat = jnp.pad(flat, ((0, 0), (top, bottom), (left * channels, right * channels)))
    beside = [flat[:, :, i * far * channels : (i * far + long) * channels] for i in range(tiles)]
    tall = jnp.stack(beside, 2)
    return jnp.concatenate([tall[:, i : i + down * (rows - 1) + 1 : down] for i in range(kernel_height)], -1)


def _band(w: Array, pixels: int, geometry: Geometry) -> Float[Array, "patch outputs"]:
    """The kernel once for each pixel, every time a step further on; zeros beside."""
    step, at = geometry.strides[1], np.arange(pixels)
    meets = np.zeros((w.shape[1], step * (pixels - 1) + w.shape[1], pixels), w.dtype)
    for j in range(w.shape[1]):
        meets[j, at * step + j, at] = 1
    return jnp.einsum("hjcd,jwo->hwcod", w, meets).reshape(-1, pixels * w.shape[3])
