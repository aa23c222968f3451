"""The largest value of windows along an axis, and the mean of tiles, with gradients that XLA:CPU is fast at."""

from functools import partial, reduce
from itertools import product
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from d2l_jax.cpu.geometry import windows_along
from d2l_jax.cpu.switch import on_cpu

Images = Float[Array, "batch height width channels"]
Pooled = Float[Array, "batch out_height out_width channels"]
Places = Integer[Array, "batch out_height out_width channels"]


def largest(x: Images, axis: int, window: int, stride: int) -> Pooled:
    """The first of the largest values of every window along an axis; NaN is the largest of all.

    Written as a fold over the places of the window: the gradient goes to one place, as in PyTorch, and on a CPU that is
    an order of magnitude faster than `lax.reduce_window`. There the place, a byte, is the residual.
    """
    with_places = partial(_with_places, axis=axis, window=window, stride=stride, length=x.shape[axis])
    return on_cpu(with_places, lambda x: reduce(_larger, windows_along(x, axis, window, stride)), x)


def _larger(first: Array, second: Array) -> Array:
    return jnp.where(_wins(second, first), second, first)


def _wins(second: Array, first: Array) -> Array:
    return (second > first) | jnp.isnan(second)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _with_places(x: Images, axis: int, window: int, stride: int, length: int) -> Pooled:
    return _values_and_places(x, axis, window, stride, length)[0]


def _values_and_places(x: Images, axis: int, window: int, stride: int, length: int) -> tuple[Pooled, Places]:
    best, *others = windows_along(x, axis, window, stride)
    small = jnp.int8 if window <= 128 else jnp.int16
    where = jnp.zeros(best.shape, small)
    for place, view in enumerate(others, 1):
        wins = _wins(view, best)
        best = jnp.where(wins, view, best)
        where = jnp.where(wins, small(place), where)
    return best, where


def _to_places(axis: int, window: int, stride: int, length: int, where: Places, g: Pooled) -> tuple[Images]:
    """The gradient, phase by phase: every stride-th pixel is at the same places, each in the next window."""
    rows = -(-length // stride)
    before = (window - 1) // stride
    pad = [(before, max(0, rows - n)) if i == axis else (0, 0) for i, n in enumerate(g.shape)]
    g = jnp.pad(g, pad)
    where = jnp.pad(where, pad, constant_values=-1)

    def from_window(place: int) -> Array:
        start = before - place // stride
        here = partial(lax.slice_in_dim, start_index=start, limit_index=start + rows, axis=axis)
        return jnp.where(here(where) == place, here(g), 0)

    nothing = jnp.zeros_like(lax.slice_in_dim(g, 0, rows, axis=axis))
    phases = [reduce(add, map(from_window, range(first, window, stride)), nothing) for first in range(stride)]
    shape = [rows * stride if i == axis else n for i, n in enumerate(g.shape)]
    return (lax.slice_in_dim(jnp.stack(phases, axis + 1).reshape(shape), 0, length, axis=axis),)


_with_places.defvjp(_values_and_places, _to_places)


def tile_means(x: Images, window: tuple[int, int]) -> Pooled:
    """The mean of every tile; what is left over at the right and at the bottom counts nowhere."""
    cpu = partial(_summed, window=window, size=(x.shape[1], x.shape[2]))
    return on_cpu(cpu, partial(_averaged, window=window), x)


def _averaged(x: Images, window: tuple[int, int]) -> Pooled:
    kh, kw = window
    batch, height, width, channels = x.shape
    x = x[:, : height // kh * kh, : width // kw * kw]
    return x.reshape(batch, height // kh, kh, width // kw, kw, channels).mean((2, 4))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _summed(x: Images, window: tuple[int, int], size: tuple[int, int]) -> Pooled:
    kh, kw = window
    rows, columns = (n // k for n, k in zip(size, window))
    views = (x[:, i : rows * kh : kh, j : columns * kw : kw] for i, j in product(range(kh), range(kw)))
    wide = np.promote_types(x.dtype, np.float32)
    return (reduce(add, (view.astype(wide) for view in views)) / (kh * kw)).astype(x.dtype)


def _summed_forward(x: Images, window: tuple[int, int], size: tuple[int, int]) -> tuple[Pooled, None]:
    return _summed(x, window, size), None


def _to_tiles(window: tuple[int, int], size: tuple[int, int], _: None, g: Pooled) -> tuple[Images]:
    kh, kw = window
    batch, rows, columns, channels = g.shape
    shared = (g / (kh * kw))[:, :, None, :, None]
    tiles = jnp.broadcast_to(shared, (batch, rows, kh, columns, kw, channels))
    whole = tiles.reshape(batch, rows * kh, columns * kw, channels)
    return (jnp.pad(whole, ((0, 0), (0, size[0] - rows * kh), (0, size[1] - columns * kw), (0, 0))),)


_summed.defvjp(_summed_forward, _to_tiles)
