"""Non-maximum suppression in PyTorch, box by box; see `d2l_jax.algorithms.nms` (book, section 14.4)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from parity.reference.boxes import box_iou


class Selection(NamedTuple):
    """Which boxes stay: `indices[:length]`, the highest score first; behind them stands -1."""

    indices: Int[Tensor, " boxes"]
    length: Int[Tensor, ""]


def nms(
    boxes: Float[Tensor, "boxes 4"], scores: Float[Tensor, " boxes"], iou_threshold: float, both_empty: bool = True
) -> Selection:
    """Returns the boxes that overlap none of a higher score by more than the threshold (section 14.4)."""
    return _kept(boxes, scores, torch.zeros(len(boxes), dtype=torch.long), iou_threshold, both_empty)


def batched_nms(
    boxes: Float[Tensor, "boxes 4"],
    scores: Float[Tensor, " boxes"],
    classes: Int[Tensor, " boxes"],
    iou_threshold: float,
    both_empty: bool = True,
) -> Selection:
    """Returns what `nms` does, but that boxes of different classes leave each other alone."""
    return _kept(boxes, scores, classes, iou_threshold, both_empty)


def _kept(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float, both_empty: bool) -> Selection:
    left = scores.argsort(descending=True, stable=True)
    index = torch.full_like(left, -1)
    count = 0
    while len(left):
        best = left[0]
        index[count] = best
        count += 1
        others = left[1:]
        iou = box_iou(boxes[best][None], boxes[others])[0]
        far = iou <= iou_threshold if both_empty else ~(iou > iou_threshold)
        left = others[far | (classes[others] != classes[best])]
    return Selection(index, torch.tensor(count))
