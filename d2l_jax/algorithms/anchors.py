"""Anchor boxes: boxes of several sizes and shapes around every pixel of a feature map (book, section 14.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError


def multibox_prior(
    data: Float[Array, "batch height width channels"], sizes: Sequence[float], ratios: Sequence[float]
) -> Float[Array, "1 anchors 4"]:
    """Returns the anchors of a feature map as parts of its width and height; they may reach beyond the image.

    A pixel has len(sizes) + len(ratios) - 1 of them, (s1, r1), (s2, r1), ..., (s1, r2), (s1, r3), ...; pixel follows
    pixel along the rows (section 14.4). Only the shape and dtype of `data` count.

    sizes:  side of an anchor as a part of the image's height
    ratios: width over height, in pixels

    Raises InputError where there is no size or no ratio, or one is not above 0.
    """
    for name, values in {"sizes": sizes, "ratios": ratios}.items():
        if not values or not all(value > 0 for value in values):
            raise InputError(f"anchors of {name} {tuple(values)}; one or more numbers above 0 are right")
    return _anchors(data, tuple(sizes), tuple(ratios))


@partial(jit, static_argnums=(1, 2))
def _anchors(data: Array, sizes: tuple[float, ...], ratios: tuple[float, ...]) -> Array:
    _, rows, columns, _ = data.shape
    shapes = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    size, ratio = jnp.asarray(shapes, data.dtype).T
    width = size * jnp.sqrt(ratio) * rows / columns
    height = size / jnp.sqrt(ratio)
    reach = jnp.stack([-width, -height, width, height], -1)[None] / 2
    y = (jnp.arange(rows, dtype=data.dtype) + 0.5) / rows
    x = (jnp.arange(columns, dtype=data.dtype) + 0.5) / columns
    y, x = jnp.meshgrid(y, x, indexing="ij")
    centers = jnp.stack([x, y, x, y], -1).reshape(-1, 1, 4)
    return (centers + reach).reshape(1, -1, 4)


@dataclass(frozen=True)
class Anchors:
    """An evaluation: the anchors of the feature maps "data"."""

    sizes: tuple[float, ...] = (0.75, 0.5, 0.25)
    ratios: tuple[float, ...] = (1, 2, 0.5)

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"anchors": (1, anchors, 4)}."""
        return {"anchors": multibox_prior(tensors["data"], self.sizes, self.ratios)}
