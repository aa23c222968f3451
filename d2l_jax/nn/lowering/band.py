"""Convolution of few channels over narrow images, as a product with a band matrix."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.dense import matmul
from d2l_jax.nn.lowering.spatial import Geometry

CHANNELS, WASTE = 8, 6


def suits_band(x: tuple[int, ...], w: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether the rows' product wastes less, on the zeros beside its band, than the short sums of `lax` cost."""
    return w[2] < CHANNELS and w[0] > 1 and x[2] < WASTE * w[1]


def banded(
    x: Float[Array, "batch height width channels"],
    w: Float[Array, "kernel_height kernel_width channels out_channels"],
    geometry: Geometry,
) -> Float[Array, "batch out_height out_width out_channels"]:
    """Each row of the kernel is a band matrix (width * channels, out_width * out_channels).

    All rows of the images that a row of the result is made from stand beside each other: one product in all.
    """
    batch, height, width, channels = x.shape
    rows, columns = geometry.out_size(x.shape, w.shape)
    top, bottom = geometry.padding[0]
    flat = jnp.pad(x.reshape(batch, height, width * channels), ((0, 0), (top, bottom), (0, 0)))
    step = geometry.strides[0]
    beside = jnp.concatenate([flat[:, i : i + step * (rows - 1) + 1 : step] for i in range(w.shape[0])], -1)
    y = matmul(beside, _bands(w, width, columns, geometry), geometry.precision)
    return y.reshape(batch, rows, columns, w.shape[3])


def _bands(w: Array, width: int, columns: int, geometry: Geometry) -> Float[Array, "inputs outputs"]:
    """The band matrices of all rows, below each other; what the padding would meet is left out."""
    left, step = geometry.padding[1][0], geometry.strides[1]
    meets = np.zeros((w.shape[1], width, columns), w.dtype)
    for j in range(w.shape[1]):
        at = np.arange(columns) * step + j - left
        inside = (at >= 0) & (at < width)
        meets[j, at[inside], np.arange(columns)[inside]] = 1
    return jnp.einsum("hjcd,jwo->hwcod", w, meets).reshape(w.shape[0] * width * w.shape[2], columns * w.shape[3])
