"""From a detector's predictions to boxes in PyTorch; see `d2l_jax.algorithms.detection` (book, section 14.4)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from parity.reference.assignment import offset_inverse
from parity.reference.nms import nms

NMS_THRESHOLD = 0.5
POS_THRESHOLD = 0.009999999


def multibox_detection(
    cls_probs: Float[Tensor, "batch classes anchors"],
    offset_preds: Float[Tensor, "batch offsets"],
    anchors: Float[Tensor, "1 anchors 4"],
    nms_threshold: float = NMS_THRESHOLD,
    pos_threshold: float = POS_THRESHOLD,
) -> Float[Tensor, "batch anchors 6"]:
    """Returns (class, confidence, left, top, right, bottom) for every anchor, those that stay first (section 14.4)."""
    rows = []
    for probs, offsets in zip(cls_probs, offset_preds, strict=True):
        confidence, classes = probs[1:].max(dim=0)
        boxes = offset_inverse(anchors[0], offsets.reshape(-1, 4))
        selected = nms(boxes, confidence, nms_threshold)
        stay = selected.indices[: selected.length]
        goes = torch.ones_like(confidence, dtype=torch.bool)
        goes[stay] = False
        classes[goes] = -1
        order = torch.cat([stay, goes.nonzero()[:, 0]])
        confidence = confidence[order]
        classes = classes[order].to(confidence.dtype)
        unlikely = confidence < pos_threshold
        classes[unlikely] = -1
        confidence = torch.where(unlikely, 1 - confidence, confidence)
        rows.append(torch.cat([classes[:, None], confidence[:, None], boxes[order]], dim=1))
    return torch.stack(rows)


@dataclass(frozen=True)
class Detections:
    """An evaluation: what "cls_probs" and "offsets" say of "anchors", and which boxes of the first image stay."""

    nms_threshold: float = NMS_THRESHOLD
    pos_threshold: float = POS_THRESHOLD

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"classes": int (batch, anchors), "confidence", "boxes": (batch, anchors, 4), "kept": int}."""
        arguments = tensors["cls_probs"], tensors["offsets"], tensors["anchors"]
        rows = multibox_detection(*arguments, self.nms_threshold, self.pos_threshold)
        boxes = offset_inverse(tensors["anchors"][0], tensors["offsets"][0].reshape(-1, 4))
        return {
            "classes": rows[..., 0].long(),
            "confidence": rows[..., 1],
            "boxes": rows[..., 2:],
            "kept": nms(boxes, tensors["cls_probs"][0, 1:].max(dim=0).values, self.nms_threshold).indices,
        }
