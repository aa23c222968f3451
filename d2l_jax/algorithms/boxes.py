"""Boxes as (left, top, right, bottom), and how much they overlap (book, section 14.4)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def box_iou(boxes1: Float[Array, "n 4"], boxes2: Float[Array, "m 4"]) -> Float[Array, "n m"]:
    """Returns the area of each pair's intersection over that of its union; NaN where both boxes are empty."""
    upper_left = jnp.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    lower_right = jnp.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = jnp.prod(jnp.clip(lower_right - upper_left, 0), axis=-1)
    return intersection / (box_area(boxes1)[:, None] + box_area(boxes2)[None, :] - intersection)


def box_area(boxes: Float[Array, "n 4"]) -> Float[Array, " n"]:
    """Returns width times height of each box."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


@dataclass(frozen=True)
class BoxOverlaps:
    """An evaluation: the overlaps of "anchors" with "truth", and the truth that each anchor overlaps most."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"iou": (n, m), "best": int (n,)}."""
        iou = box_iou(tensors["anchors"], tensors["truth"])
        return {"iou": iou, "best": jnp.argmax(iou, axis=1)}


def draw_boxes(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws 7 anchors, and 5 true boxes that overlap some of them: corners in order, float32."""
    truth = _corners(random.random((5, 2)), 0.2 + random.random((5, 2)))
    shifted = truth[[0, 1, 2, 3, 4, 0, 1]] + 0.1 * random.normal(size=(7, 1)).astype(np.float32)
    return {"anchors": shifted.astype(np.float32), "truth": truth}


def _corners(upper_left: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([upper_left, upper_left + size], axis=1).astype(np.float32)
