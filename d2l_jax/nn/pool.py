"""Pooling over (batch, height, width, channels) with PyTorch's windows and tie rule."""

import functools

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.nn.affine import Size, pair

Images = Float[Array, "batch height width channels"]
Pooled = Float[Array, "batch out_height out_width channels"]


class MaxPool2d(nnx.Module):
    """The largest value of each window; the output size is rounded down.

    Written as a fold over the window's columns, then its rows, instead of `nnx.max_pool`: the gradient goes
    to the first maximum, as in PyTorch, and on CPU it is an order of magnitude faster.
    """

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0):
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding = pair(padding)

    def __call__(self, x: Images) -> Pooled:
        ph, pw = self.padding
        if ph or pw:
            x = jnp.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=-jnp.inf)
        for axis in (2, 1):
            x = _largest(x, axis, self.kernel_size[axis - 1], self.stride[axis - 1])
        return x


def _largest(x: Array, axis: int, window: int, stride: int) -> Array:
    end = (x.shape[axis] - window) // stride * stride + 1
    views = (lax.slice_in_dim(x, i, i + end, stride, axis) for i in range(window))
    return functools.reduce(_larger, views)


def _larger(first: Array, second: Array) -> Array:
    return jnp.where((second > first) | jnp.isnan(second), second, first)


class AvgPool2d(nnx.Module):
    """The mean of each window, padding counted; the output size is rounded down."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0):
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding = pair(padding)

    def __call__(self, x: Images) -> Pooled:
        if self.stride != self.kernel_size or self.padding != (0, 0):
            padding = tuple((p, p) for p in self.padding)  # documented by Flax, which annotates nothing
            return nnx.avg_pool(x, self.kernel_size, self.stride, padding)  # pyright: ignore[reportArgumentType]
        (kh, kw), (batch, height, width, channels) = self.kernel_size, x.shape
        x = x[:, : height // kh * kh, : width // kw * kw]
        return x.reshape(batch, height // kh, kh, width // kw, kw, channels).mean((2, 4))


class AdaptiveAvgPool2d(nnx.Module):
    """The mean of `output_size` windows that cover the image; they overlap where the sizes do not divide."""

    def __init__(self, output_size: Size = 1):
        self.output_size = pair(output_size)

    def __call__(self, x: Images) -> Pooled:
        for axis, size in zip((1, 2), self.output_size):
            x = _pool_axis(x, axis, size)
        return x


def _pool_axis(x: Array, axis: int, size: int) -> Array:
    n = x.shape[axis]
    bounds = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
    windows = [x.take(jnp.arange(*b), axis).mean(axis, keepdims=True) for b in bounds]
    return windows[0] if size == 1 else jnp.concatenate(windows, axis)
