"""Boxes by their corners or their centre, and how much they overlap (book, sections 14.3 and 14.4)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.cpu.compile import jit

Boxes = Float[Array, "*boxes 4"]


@jit
def box_corner_to_center(boxes: Boxes) -> Boxes:
    """Returns (centre x, centre y, width, height) of boxes (left, top, right, bottom), section 14.3."""
    left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)
    return jnp.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], -1)


@jit
def box_center_to_corner(boxes: Boxes) -> Boxes:
    """Returns (left, top, right, bottom) of boxes (centre x, centre y, width, height), section 14.3."""
    x, y, width, height = jnp.moveaxis(boxes, -1, 0)
    return jnp.stack([x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height], -1)


def box_area(boxes: Boxes) -> Float[Array, "*boxes"]:
    """Returns width times height of boxes by their corners."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


@jit
def box_iou(boxes1: Float[Array, "n 4"], boxes2: Float[Array, "m 4"]) -> Float[Array, "n m"]:
    """Returns the area of each pair's intersection over that of its union; NaN where both boxes are empty.

    Boxes are (left, top, right, bottom), section 14.4. A box whose corners are swapped has a negative width or height
    and meets nothing, but its area counts as it comes.
    """
    return overlaps(*(tuple(jnp.moveaxis(boxes, -1, 0)) for boxes in (boxes1[:, None], boxes2[None])))


def overlaps(
    boxes1: tuple[Array, ...], boxes2: tuple[Array, ...], areas: tuple[Array, Array] | None = None
) -> Float[Array, "*pairs"]:
    """Returns what `box_iou` does, of boxes as four arrays (left, top, right, bottom) that are broadcast.

    areas: of either boxes, where they are known
    """
    width = jnp.clip(jnp.minimum(boxes1[2], boxes2[2]) - jnp.maximum(boxes1[0], boxes2[0]), 0)
    height = jnp.clip(jnp.minimum(boxes1[3], boxes2[3]) - jnp.maximum(boxes1[1], boxes2[1]), 0)
    intersection = width * height
    area1, area2 = areas or (_area(boxes1), _area(boxes2))
    return intersection / (area1 + area2 - intersection)


def _area(boxes: tuple[Array, ...]) -> Array:
    left, top, right, bottom = boxes
    return (right - left) * (bottom - top)


@dataclass(frozen=True)
class BoxConversions:
    """An evaluation: "boxes" by their corners as centre and size, and back."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"centers": (n, 4), "corners": (n, 4)}."""
        centers = box_corner_to_center(tensors["boxes"])
        return {"centers": centers, "corners": box_center_to_corner(centers)}


@dataclass(frozen=True)
class BoxOverlaps:
    """An evaluation: the overlaps of "anchors" with "truth", and the truth that each anchor overlaps most."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"iou": (n, m), "best": int (n,)}."""
        iou = box_iou(tensors["anchors"], tensors["truth"])
        return {"iou": iou, "best": jnp.argmax(iou, axis=1)}
