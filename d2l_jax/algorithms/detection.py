"""From a detector's predictions to boxes (book, section 14.4)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.algorithms.assignment import offset_inverse
from d2l_jax.algorithms.nms import nms
from d2l_jax.cpu.compile import jit

NMS_THRESHOLD = 0.5
POS_THRESHOLD = 0.009999999


@jit
def multibox_detection(
    cls_probs: Float[Array, "batch classes anchors"],
    offset_preds: Float[Array, "batch offsets"],
    anchors: Float[Array, "1 anchors 4"],
    nms_threshold: float = NMS_THRESHOLD,
    pos_threshold: float = POS_THRESHOLD,
) -> Float[Array, "batch anchors 6"]:
    """Returns (class, confidence, left, top, right, bottom) for every anchor, those that stay first (section 14.4).

    cls_probs: probabilities, the background's first

    An anchor has its likeliest class beside the background. Boxes of any class suppress each other (`nms`); those that
    go have class -1 and stand behind, by their number. An anchor whose confidence is below `pos_threshold` has class
    -1, too, and 1 less its confidence in the place of it.
    """

    def of_image(predictions: tuple[Array, Array]) -> Array:
        probs, offsets = predictions
        confidence = jnp.max(probs[1:], 0)
        classes = jnp.argmax(probs[1:], 0)
        boxes = offset_inverse(anchors[0], offsets.reshape(-1, 4))
        selected = nms(boxes, confidence, nms_threshold)
        order = _kept_first(selected.indices, selected.length)
        stays = selected.indices >= 0
        confidence = confidence[order]
        unlikely = confidence < pos_threshold
        classes = jnp.where(stays & ~unlikely, classes[order], -1).astype(confidence.dtype)
        confidence = jnp.where(unlikely, 1 - confidence, confidence)
        return jnp.concatenate([classes[:, None], confidence[:, None], boxes[order]], 1)

    return lax.map(of_image, (cls_probs, offset_preds))


def _kept_first(index: Array, count: Array) -> Array:
    """Returns all numbers: those that stay in their order, then the others by size."""
    numbers = jnp.arange(len(index), dtype=index.dtype)
    goes = jnp.ones(len(index), bool).at[index].set(False, mode="drop", wrap_negative_indices=False)
    behind = count + jnp.cumsum(goes, dtype=index.dtype) - 1
    return jnp.where(numbers < count, index, 0).at[jnp.where(goes, behind, len(index))].set(numbers, mode="drop")


@dataclass(frozen=True)
class Detections:
    """An evaluation: what "cls_probs" and "offsets" say of "anchors", and which boxes of the first image stay."""

    nms_threshold: float = NMS_THRESHOLD
    pos_threshold: float = POS_THRESHOLD

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"classes": int (batch, anchors), "confidence", "boxes": (batch, anchors, 4), "kept": int}.

        "kept" holds the numbers of the boxes that stay, -1 behind them.
        """
        arguments = tensors["cls_probs"], tensors["offsets"], tensors["anchors"]
        rows = multibox_detection(*arguments, self.nms_threshold, self.pos_threshold)
        boxes = offset_inverse(tensors["anchors"][0], tensors["offsets"][0].reshape(-1, 4))
        return {
            "classes": rows[..., 0].astype(jnp.int32),
            "confidence": rows[..., 1],
            "boxes": rows[..., 2:],
            "kept": nms(boxes, tensors["cls_probs"][0, 1:].max(0), self.nms_threshold).indices,
        }
