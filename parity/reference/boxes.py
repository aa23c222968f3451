"""Boxes and their overlaps in PyTorch; see `d2l_jax.algorithms.boxes` (book, sections 14.3 and 14.4)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Boxes = Float[Tensor, "*boxes 4"]


def box_corner_to_center(boxes: Boxes) -> Boxes:
    """Returns (centre x, centre y, width, height) of boxes (left, top, right, bottom), section 14.3."""
    upper_left = boxes[..., :2]
    lower_right = boxes[..., 2:]
    return torch.cat([(upper_left + lower_right) / 2, lower_right - upper_left], dim=-1)


def box_center_to_corner(boxes: Boxes) -> Boxes:
    """Returns (left, top, right, bottom) of boxes (centre x, centre y, width, height), section 14.3."""
    center = boxes[..., :2]
    half = 0.5 * boxes[..., 2:]
    return torch.cat([center - half, center + half], dim=-1)


def box_area(boxes: Boxes) -> Float[Tensor, "*boxes"]:
    """Returns width times height of boxes by their corners."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_iou(boxes1: Float[Tensor, "n 4"], boxes2: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Returns the area of each pair's intersection over that of its union."""
    upper_lefts = torch.max(boxes1[:, None, :2], boxes2[:, :2])
    lower_rights = torch.min(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = (lower_rights - upper_lefts).clamp(min=0)
    intersections = sides[:, :, 0] * sides[:, :, 1]
    return intersections / (box_area(boxes1)[:, None] + box_area(boxes2) - intersections)


@dataclass(frozen=True)
class BoxConversions:
    """An evaluation: "boxes" by their corners as centre and size, and back."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"centers": (n, 4), "corners": (n, 4)}."""
        centers = box_corner_to_center(tensors["boxes"])
        return {"centers": centers, "corners": box_center_to_corner(centers)}


@dataclass(frozen=True)
class BoxOverlaps:
    """An evaluation: the overlaps of "anchors" with "truth", and the truth that each anchor overlaps most."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"iou": (n, m), "best": int (n,)}."""
        iou = box_iou(tensors["anchors"], tensors["truth"])
        return {"iou": iou, "best": iou.argmax(dim=1)}
