"""Convolution, in the form that suits its shape."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from d2l_jax.cpu.band import banded, suits_band
from d2l_jax.cpu.dense import both_floating, matmul
from d2l_jax.cpu.depthwise import depthwise
from d2l_jax.cpu.direct import CHANNELS_LAST, Images, Kernel, Maps
from d2l_jax.cpu.geometry import Geometry
from d2l_jax.cpu.spatial import convolve
from d2l_jax.cpu.switch import on_cpu

ORDERS = {3: ("NHC", "HIO", "NHC"), 4: CHANNELS_LAST}


def conv_general_dilated(
    lhs: Array, rhs: Array, window_strides: Any, padding: Any, *, feature_group_count: int = 1, **options: Any
) -> Array:
    """`lax.conv_general_dilated` in the form that `nnx.Conv` calls, channels last.

    On a CPU groups are convolved one by one, and for each the form is chosen by its shape: a depthwise convolution is
    the sum over its window, one over single pixels a matrix product, one of few channels a product with a band
    matrix; any other is convolved directly or by Winograd's minimal filtering, with gradients written out. Sequences
    are images of one column, since the gradients of `lax` along one axis are slow in a scan. Plain `lax` gets every
    other order or number of axes, dilations, named padding, numbers that are not of one floating-point type, further
    options, and every other platform.
    """
    plain = partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        feature_group_count=feature_group_count,
        **options,
    )
    precision = options.pop("precision", None)
    if not (_channels_last(lhs, rhs, options.pop("dimension_numbers", None)) and both_floating(lhs, rhs)):
        return plain(lhs, rhs)
    dilations = (*(options.pop("lhs_dilation", None) or ()), *(options.pop("rhs_dilation", None) or ()))
    others = any(d != 1 for d in dilations) or any(value not in (None, 1) for value in options.values())
    if others or isinstance(padding, str):
        return plain(lhs, rhs)
    (rows, columns), ((top, bottom), (left, right)) = (*window_strides, 1)[:2], (*padding, (0, 0))[:2]
    geometry = Geometry((rows, columns), ((top, bottom), (left, right)), precision)
    form = _grouped if lhs.ndim == 4 else _of_sequences
    return on_cpu(partial(form, geometry=geometry, groups=feature_group_count), plain, lhs, rhs)


def _channels_last(lhs: Array, rhs: Array, dimension_numbers: Any) -> bool:
    """Images or sequences, and kernel, in the order of `nnx.Conv`; `lax` takes None for channels first."""
    if lhs.ndim not in ORDERS:
        return False
    order = partial(lax.conv_dimension_numbers, lhs.shape, rhs.shape)
    return order(dimension_numbers) == order(ORDERS[lhs.ndim])


def _of_sequences(x: Array, w: Array, geometry: Geometry, groups: int) -> Array:
    return _grouped(x[:, :, None], w[:, None], geometry, groups)[:, :, 0]


def _grouped(x: Images, w: Kernel, geometry: Geometry, groups: int) -> Maps:
    if w.shape[2] == 1 and groups == w.shape[3] > 1:
        return depthwise(x, w, geometry)
    pairs = zip(jnp.split(x, groups, -1), jnp.split(w, groups, -1), strict=True)
    outputs = [_one_group(images, kernel, geometry) for images, kernel in pairs]
    return outputs[0] if groups == 1 else jnp.concatenate(outputs, -1)


def _one_group(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    if w.shape[:2] == (1, 1) and geometry.padding == ((0, 0), (0, 0)):
        rows, columns = geometry.strides
        return matmul(x[:, ::rows, ::columns], w[0, 0], geometry.precision)
    return banded(x, w, geometry) if suits_band(x.shape, w.shape) else convolve(x, w, geometry)
