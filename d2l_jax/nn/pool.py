"""Pooling over (batch, height, width, channels) with PyTorch's windows and tie rule."""

from itertools import product

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.windows import largest, tile_means
from d2l_jax.nn.affine import Size, pair

Images = Float[Array, "batch height width channels"]
Pooled = Float[Array, "batch out_height out_width channels"]


class MaxPool2d(nnx.Module):
    """The largest value of each window; the output size is rounded down.

    Of the windows' columns, then of their rows: of equal values the first gets the gradient, as in PyTorch.
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
            x = largest(x, axis, self.kernel_size[axis - 1], self.stride[axis - 1])
        return x


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
        return tile_means(x, self.kernel_size)


class AdaptiveAvgPool2d(nnx.Module):
    """The mean of `output_size` windows that cover the image; they overlap where the sizes do not divide."""

    def __init__(self, output_size: Size = 1):
        self.output_size = pair(output_size)

    def __call__(self, x: Images) -> Pooled:
        rows, columns = (_windows(n, size) for n, size in zip(x.shape[1:3], self.output_size))
        # Both axes at once: one after the other takes up to thirty times as long on a CPU.
        means = [x[:, row, column].mean((1, 2)) for row, column in product(rows, columns)]
        return jnp.stack(means, 1).reshape(x.shape[0], *self.output_size, x.shape[-1])


class AdaptiveMaxPool2d(nnx.Module):
    """The largest value of `output_size` windows that cover the image; of equal values the first gets the gradient."""

    def __init__(self, output_size: Size = 1):
        self.output_size = pair(output_size)

    def __call__(self, x: Images) -> Pooled:
        for axis in (2, 1):
            windows = _windows(x.shape[axis], self.output_size[axis - 1])
            parts = (lax.slice_in_dim(x, window.start, window.stop, axis=axis) for window in windows)
            x = jnp.concatenate([largest(part, axis, part.shape[axis], part.shape[axis]) for part in parts], axis)
        return x


def _windows(n: int, size: int) -> list[slice]:
    return [slice(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
