"""Depthwise convolution: one channel in, one out."""

import operator
from functools import partial, reduce
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.materialised import materialised
from d2l_jax.nn.lowering.spatial import Geometry
from d2l_jax.nn.lowering.sums import sums

Images = Float[Array, "batch height width channels"]
Kernel = Float[Array, "kernel_height kernel_width 1 channels"]
Maps = Float[Array, "batch out_height out_width channels"]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    """The sum of the window's shifted views, each times its weight per channel: 16 to 40 times as fast as `lax`."""
    return _weighted(materialised(x), w, geometry)


def _weighted(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    views = geometry.views(_padded(x, geometry), w.shape[:2])
    return reduce(operator.add, (view * w[i, j, 0] for (i, j), view in views))


def _padded(x: Images, geometry: Geometry) -> Float[Array, "batch padded_height padded_width channels"]:
    return jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))


def _forward(x: Images, w: Kernel, geometry: Geometry) -> tuple[Maps, tuple[Images, Kernel]]:
    return depthwise(x, w, geometry), (x, w)


def _backward(geometry: Geometry, inputs: tuple[Images, Kernel], g: Maps) -> tuple[Images, Kernel]:
    x, w = inputs
    views = geometry.views(materialised(_padded(x, geometry)), w.shape[:2])
    of_kernel = jnp.stack(sums(*(view * g for _, view in views))).reshape(w.shape)
    return materialised(_input_gradient(g, w, x.shape, geometry)), of_kernel


def _input_gradient(g: Maps, w: Kernel, shape: tuple[int, ...], geometry: Geometry) -> Images:
    """Pixels whose places leave the same remainders by the strides get sums of the same views of g."""
    (down, right), (kernel_height, kernel_width) = geometry.strides, w.shape[:2]
    tall, wide = (n + sum(pad) for n, pad in zip(shape[1:3], geometry.padding))
    rows, columns, above, before = -(-tall // down), -(-wide // right), kernel_height // down, kernel_width // right
    below, behind = max(0, rows - g.shape[1]), max(0, columns - g.shape[2])
    around = materialised(jnp.pad(g, ((0, 0), (above, below), (before, behind), (0, 0))))

    def phase(first: int, second: int) -> Array:
        places = product(range(first, kernel_height, down), range(second, kernel_width, right))
        starts = ((i, j, above - i // down, before - j // right) for i, j in places)
        terms = (around[:, y : y + rows, x : x + columns] * w[i, j, 0] for i, j, y, x in starts)
        return reduce(operator.add, terms, jnp.zeros((g.shape[0], rows, columns, g.shape[3]), g.dtype))

    lines = [jnp.stack([phase(i, j) for j in range(right)], 3) for i in range(down)]
    whole = jnp.stack(lines, 2).reshape(g.shape[0], rows * down, columns * right, g.shape[3])
    (top, _), (left, _) = geometry.padding
    return whole[:, top : top + shape[1], left : left + shape[2]]


depthwise.defvjp(_forward, _backward)
