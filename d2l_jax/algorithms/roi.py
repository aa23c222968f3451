"""Regions of interest: a grid of the same size from every box of a feature map (book, section 14.8)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.cpu.compile import jit

Maps = Float[Array, "batch height width channels"]
Regions = Float[Array, "regions 5"]
Pooled = Float[Array, "regions out_height out_width channels"]


@partial(jit, static_argnums=2)
def roi_pool(features: Maps, rois: Regions, output_size: tuple[int, int], spatial_scale: float = 1.0) -> Pooled:
    """Returns the largest value of each cell of a grid laid over every region (Girshick 2015; section 14.8).

    rois:          (number of the image, left, top, right, bottom) of each region
    output_size:   rows and columns of the grid
    spatial_scale: of the corners, before they are rounded to pixels, halves away from zero

    The right and lower pixels belong to a region, which has one pixel at least, so that a reversed one is as wide as a
    pixel. Cells may overlap; one outside the map is 0. The gradient goes to the first of the largest values, and none
    to the regions, as in torchvision.
    """
    height, width = features.shape[1:3]

    def of_region(roi: Float[Array, " 5"]) -> Float[Array, "out_height out_width channels"]:
        left, top, right, bottom = lax.round(roi[1:] * spatial_scale, lax.RoundingMethod.AWAY_FROM_ZERO)
        rows = _cells(top, bottom, output_size[0], height)
        columns = _cells(left, right, output_size[1], width)
        image = features[roi[0].astype(jnp.int32)]
        largest, column = _largest(image, columns, 1)  # of each row, in each column of the grid
        _, row = _largest(largest, rows, 0)
        column = jnp.take_along_axis(column, row, 0)
        values = image[row, column, jnp.arange(image.shape[-1])[None, None]]
        filled = rows.any(1)[:, None, None] & columns.any(1)[None, :, None]
        return jnp.where(filled, values, 0)

    return jax.vmap(of_region)(lax.stop_gradient(rois))


def _cells(start: Array, end: Array, count: int, length: int) -> Bool[Array, "count length"]:
    """Tells which pixels belong to each cell along an axis."""
    # XLA turns a constant divisor into a factor, which rounds otherwise: 3 pixels in 7 cells would end at 4.
    cells = count + 0 * start
    size = jnp.maximum(end - start + 1, 1) / cells
    numbers = jnp.arange(count, dtype=start.dtype)
    first = jnp.clip(jnp.floor(numbers * size) + start, 0, length)[:, None]
    last = jnp.clip(jnp.ceil((numbers + 1) * size) + start, 0, length)[:, None]
    pixels = jnp.arange(length, dtype=start.dtype)[None]
    return (pixels >= first) & (pixels < last)


def _largest(image: Array, cells: Bool[Array, "count length"], axis: int) -> tuple[Array, Int[Array, "..."]]:
    """Returns the largest values of cells along an axis, and where they are; the first of equals."""
    image = lax.stop_gradient(image)

    def of_cell(inside: Bool[Array, " length"]) -> tuple[Array, Array]:
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        masked = jnp.where(inside.reshape(shape), image, -jnp.inf)
        return masked.max(axis), jnp.argmax(masked, axis)

    return jax.vmap(of_cell, out_axes=axis)(cells)


@partial(jit, static_argnums=(2, 4, 5))
def roi_align(
    features: Maps,
    rois: Regions,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Pooled:
    """Returns the mean of values between the pixels, at a grid of points in each cell (He et al. 2017).

    rois:           as in `roi_pool`; their corners are not rounded
    sampling_ratio: points along either side of a cell; below 1 as many as the cell has pixels, rounded up
    aligned:        pixels lie at halves, as their centres do; else at whole numbers, and a region has a pixel at least

    Points further than a pixel outside of the map count as 0. No gradient goes to the regions, as in torchvision, which
    fails at a region reversed along one axis where `aligned` and adaptive; its values here are 0.
    """
    height, width = features.shape[1:3]
    rows, columns = output_size

    def of_region(roi: Float[Array, " 5"]) -> Float[Array, "out_height out_width channels"]:
        left, top, right, bottom = roi[1:] * spatial_scale - (0.5 if aligned else 0)
        least = -jnp.inf if aligned else 1.0
        down, points_down = _weights(top, jnp.maximum(bottom - top, least), rows, height, sampling_ratio)
        across, points_across = _weights(left, jnp.maximum(right - left, least), columns, width, sampling_ratio)
        image = features[roi[0].astype(jnp.int32)]
        total = jnp.einsum("rh,hwc,kw->rkc", down, image, across)
        return total / jnp.maximum(points_down * points_across, 1).astype(total.dtype)

    return jax.vmap(of_region)(lax.stop_gradient(rois))


def _weights(
    start: Array, size: Array, count: int, length: int, sampling_ratio: int
) -> tuple[Float[Array, "count length"], Array]:
    """Returns how much each pixel of an axis counts in the sum over a cell's points, and how many points these are."""
    cell = size / count
    points = jnp.asarray(sampling_ratio) if sampling_ratio > 0 else jnp.ceil(cell).astype(jnp.int32)
    cells = start + jnp.arange(count, dtype=size.dtype) * cell
    pixels = jnp.arange(length, dtype=size.dtype)[None]

    def add(number: Array, total: Array) -> Array:
        place = cells + (number.astype(size.dtype) + 0.5) * cell / points.astype(size.dtype)
        inside = (place >= -1) & (place <= length)
        near = jnp.clip(place, 0, length - 1)[:, None]
        return total + jnp.where(inside[:, None], jnp.maximum(1 - jnp.abs(near - pixels), 0), 0)

    return lax.fori_loop(jnp.zeros_like(points), points, add, jnp.zeros((count, length), size.dtype)), points
