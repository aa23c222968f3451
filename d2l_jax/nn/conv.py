"""Convolution whose gradients are fast on CPU too."""

import operator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kernel_height kernel_width in_channels out_channels"]
Pairs = tuple[tuple[int, int], ...]


def conv_general_dilated(
    lhs: Images, rhs: Kernel, window_strides: Any, padding: Any, *, feature_group_count: int = 1, **options: Any
) -> Maps:
    """`lax.conv_general_dilated` in the form that `nnx.Conv` calls, channels last.

    XLA:CPU takes its fast path only for (batch, height, width, channels) with a (height, width, in, out)
    kernel and one group. Outside of loops it brings the gradients into that form; in the body of a scan it
    does not, and LeNet's step took four times as long. So they are written in that form here, groups are
    convolved one by one, and a depthwise convolution is the sum over its window (16 to 40 times faster).
    Elsewhere than on CPU, and for dilation, this is `lax`.
    """
    plain = partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        feature_group_count=feature_group_count,
        **options,
    )
    dilations = (*(options.get("lhs_dilation") or ()), *(options.get("rhs_dilation") or ()))
    if any(d != 1 for d in dilations) or isinstance(padding, str):
        return plain(lhs, rhs)
    static = (tuple(window_strides), tuple((before, after) for before, after in padding), options.get("precision"))
    depthwise = rhs.shape[2] == 1 and feature_group_count == rhs.shape[3] > 1
    cpu = _depthwise if depthwise else partial(_grouped, groups=feature_group_count)
    return lax.platform_dependent(lhs, rhs, cpu=lambda x, w: cpu(x, w, *static), default=plain)


def _grouped(x: Images, w: Kernel, strides: tuple[int, int], padding: Pairs, precision: Any, groups: int) -> Maps:
    inputs, kernels = jnp.split(x, groups, -1), jnp.split(w, groups, -1)
    outputs = [_conv(x, w, strides, padding, precision) for x, w in zip(inputs, kernels, strict=True)]
    return outputs[0] if groups == 1 else jnp.concatenate(outputs, -1)


def _depthwise(x: Images, w: Kernel, strides: tuple[int, int], padding: Pairs, precision: Any) -> Maps:
    """One channel in, one out: the sum of the window's shifted views, each times its weight per channel."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    (kh, kw), (sh, sw) = w.shape[:2], strides
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], (kh, kw), strides))
    products = (
        x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw] * w[i, j, 0]
        for i in range(kh)
        for j in range(kw)
    )
    return reduce(operator.add, products)


def _convolve(x: Images, w: Kernel, strides: tuple[int, int], padding: Pairs, precision: Any) -> Maps:
    return _correlate(x, w, window_strides=strides, padding=padding, precision=precision)


def _forward(x: Images, w: Kernel, strides: tuple[int, int], padding: Pairs, precision: Any) -> tuple:
    return _conv(x, w, strides, padding, precision), (x, w)


def _backward(strides: tuple[int, int], padding: Pairs, precision: Any, inputs: tuple, g: Maps) -> tuple:
    """The input's gradient is g correlated with the flipped kernel, the kernel's the input with g."""
    x, w = inputs
    low = [k - 1 - p[0] for k, p in zip(w.shape, padding)]
    dx = _correlate(
        g,
        lax.optimization_barrier(w[::-1, ::-1].transpose(0, 1, 3, 2)),
        lhs_dilation=strides,
        padding=_pads(_dilated(g, strides), low, w.shape[:2], x.shape[1:3]),
        precision=precision,
    )
    low = [p[0] for p in padding]
    dw = _correlate(
        lax.optimization_barrier(x.transpose(3, 1, 2, 0)),
        lax.optimization_barrier(g.transpose(1, 2, 0, 3)),
        rhs_dilation=strides,
        padding=_pads(x.shape[1:3], low, _dilated(g, strides), w.shape[:2]),
        precision=precision,
    )
    return dx, dw.transpose(1, 2, 0, 3)


_conv = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3, 4))
_conv.defvjp(_forward, _backward)


def _correlate(x: Array, w: Array, window_strides: tuple[int, int] = (1, 1), **options: Any) -> Array:
    return lax.conv_general_dilated(x, w, window_strides, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)


def _dilated(g: Maps, strides: tuple[int, int]) -> list[int]:
    return [(n - 1) * s + 1 for n, s in zip(g.shape[1:3], strides)]


def _pads(size: Any, low: list[int], kernel: Any, out: Any) -> list[tuple[int, int]]:
    """With `low` before, as much padding after (below 0: cropping) as makes the result `out` long."""
    return [(b, o + k - 1 - n - b) for n, b, k, o in zip(size, low, kernel, out)]
