"""From true boxes to what a detector should say in PyTorch; see `d2l_jax.algorithms.assignment` (section 14.4)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from parity.reference.boxes import box_center_to_corner, box_corner_to_center, box_iou

EPS = 1e-6


class BoxTarget(NamedTuple):
    """Targets of a detector at each anchor: offsets, which of them count, and classes, 0 for background."""

    offsets: Float[Tensor, "batch offsets"]
    masks: Float[Tensor, "batch offsets"]
    classes: Int[Tensor, "batch anchors"]


def assign_anchor_to_bbox(
    ground_truth: Float[Tensor, "truths 4"],
    anchors: Float[Tensor, "anchors 4"],
    iou_threshold: float = 0.5,
    corrected: bool = False,
) -> Int[Tensor, " anchors"]:
    """Returns the number of each anchor's true box, -1 at the background (section 14.4)."""
    iou = box_iou(anchors, ground_truth).detach()
    count = len(ground_truth)
    most, best = iou.max(dim=1)
    assigned = torch.where(most >= iou_threshold, best, -1)
    iou = iou.clone()
    for _ in range(count):
        place = iou.argmax()
        anchor = row_of(place, count, corrected)
        box = place % count
        assigned[anchor] = box
        iou[:, box] = -1
        iou[anchor] = -1
    return assigned


def row_of(place: Int[Tensor, ""], columns: int, corrected: bool = False) -> Int[Tensor, ""]:
    """Returns the row of a matrix's element by its number, by the book's quotient in float32 or an integer one."""
    return place // columns if corrected else (place.to(torch.float32) / columns).long()


def offset_boxes(
    anchors: Float[Tensor, "anchors 4"], assigned_bb: Float[Tensor, "anchors 4"], eps: float = EPS
) -> Float[Tensor, "anchors 4"]:
    """Returns by how much boxes differ from their anchors, in centre and logarithm of the size (section 14.4)."""
    x, y, width, height = box_corner_to_center(anchors).unbind(-1)
    box_x, box_y, box_width, box_height = box_corner_to_center(assigned_bb).unbind(-1)
    shifts = [10 * (box_x - x) / width, 10 * (box_y - y) / height]
    growths = [5 * torch.log(eps + box_width / width), 5 * torch.log(eps + box_height / height)]
    return torch.stack(shifts + growths, dim=-1)


def offset_inverse(
    anchors: Float[Tensor, "anchors 4"], offset_preds: Float[Tensor, "anchors 4"]
) -> Float[Tensor, "anchors 4"]:
    """Returns the boxes, by their corners, that differ from the anchors by these offsets (section 14.4)."""
    x, y, width, height = box_corner_to_center(anchors).unbind(-1)
    shift_x, shift_y, growth_x, growth_y = offset_preds.unbind(-1)
    centers = [shift_x * width / 10 + x, shift_y * height / 10 + y]
    sizes = [torch.exp(growth_x / 5) * width, torch.exp(growth_y / 5) * height]
    return box_center_to_corner(torch.stack(centers + sizes, dim=-1))


def multibox_target(anchors: Float[Tensor, "1 anchors 4"], labels: Float[Tensor, "batch truths 5"]) -> BoxTarget:
    """Returns what a detector should say at each anchor of each image (section 14.4)."""
    offsets = []
    masks = []
    classes = []
    for label in labels:
        assigned = assign_anchor_to_bbox(label[:, 1:], anchors[0])
        at = assigned >= 0
        boxes = torch.zeros_like(anchors[0])
        boxes[at] = label[assigned[at], 1:]
        class_of = torch.zeros_like(assigned)
        class_of[at] = label[assigned[at], 0].round().long() + 1
        mask = at[:, None].to(anchors.dtype).repeat(1, 4)
        offsets.append((offset_boxes(anchors[0], boxes) * mask).flatten())
        masks.append(mask.flatten())
        classes.append(class_of)
    return BoxTarget(torch.stack(offsets), torch.stack(masks), torch.stack(classes))


@dataclass(frozen=True)
class BoxTargets:
    """An evaluation: what a detector should say at "anchors" for "labels", and what the offsets lead back to."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"assigned": int (anchors,) of the first image, "offsets", "masks", "classes", "boxes"}."""
        anchors = tensors["anchors"]
        labels = tensors["labels"]
        target = multibox_target(anchors, labels)
        return {
            "assigned": assign_anchor_to_bbox(labels[0, :, 1:], anchors[0]),
            "offsets": target.offsets,
            "masks": target.masks,
            "classes": target.classes,
            "boxes": offset_inverse(anchors[0], target.offsets[0].reshape(-1, 4)),
        }
