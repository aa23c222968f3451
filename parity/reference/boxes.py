"""Boxes and their overlaps in PyTorch; see `d2l_jax.algorithms.boxes` (book, section 14.4)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def box_iou(boxes1: Float[Tensor, "n 4"], boxes2: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Returns the area of each pair's intersection over that of its union."""
    areas1 = (boxes1[:, 2] - boxes1[:, 0]) * (boxes1[:, 3] - boxes1[:, 1])
    areas2 = (boxes2[:, 2] - boxes2[:, 0]) * (boxes2[:, 3] - boxes2[:, 1])
    upper_lefts = torch.max(boxes1[:, None, :2], boxes2[:, :2])
    lower_rights = torch.min(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = (lower_rights - upper_lefts).clamp(min=0)
    intersections = sides[:, :, 0] * sides[:, :, 1]
    return intersections / (areas1[:, None] + areas2 - intersections)


@dataclass(frozen=True)
class BoxOverlaps:
    """An evaluation: the overlaps of "anchors" with "truth", and the truth that each anchor overlaps most."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"iou": (n, m), "best": int (n,)}."""
        iou = box_iou(tensors["anchors"], tensors["truth"])
        return {"iou": iou, "best": iou.argmax(dim=1)}
