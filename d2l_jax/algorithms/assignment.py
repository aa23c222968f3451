"""From true boxes to what a detector should say at every anchor, and back (book, section 14.4)."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax.algorithms.boxes import box_center_to_corner, box_corner_to_center, box_iou
from d2l_jax.cpu.compile import jit

EPS = 1e-6
BACKGROUND = -1


class BoxTarget(NamedTuple):
    """Targets of a detector, at each anchor.

    offsets: 0 at the background
    masks:   1.0 for each of the four offsets of an anchor that has a true box, else 0.0
    classes: int32, 0 at the background, else the class of the true box plus 1
    """

    offsets: Float[Array, "batch offsets"]
    masks: Float[Array, "batch offsets"]
    classes: Int[Array, "batch anchors"]


@partial(jit, static_argnames="corrected")
def assign_anchor_to_bbox(
    ground_truth: Float[Array, "truths 4"],
    anchors: Float[Array, "anchors 4"],
    iou_threshold: float = 0.5,
    corrected: bool = False,
) -> Int[Array, " anchors"]:
    """Returns the number of each anchor's true box, -1 at the background (section 14.4).

    An anchor gets the box that it overlaps most, where that is by `iou_threshold` or more. Then every box gets an
    anchor for itself: the pair of the largest overlap first, whose row and column are left out from there on.

    corrected: the anchor's number is an integer quotient. The book takes a float32 quotient, which is another anchor's
               number where anchors times true boxes are above 2^24
    """
    iou = box_iou(anchors, ground_truth)
    count = ground_truth.shape[0]
    assigned = jnp.where(iou.max(1) >= iou_threshold, jnp.argmax(iou, 1), BACKGROUND)
    rows = jnp.arange(iou.shape[0])[:, None]
    columns = jnp.arange(count)[None]

    def one_box(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        iou, assigned = state
        place = jnp.argmax(iou)
        anchor = row_of(place, count, corrected)
        box = place % count
        iou = jnp.where((rows == anchor) | (columns == box), -1, iou)
        return iou, assigned.at[anchor].set(box)

    return lax.fori_loop(0, count, one_box, (iou, assigned))[1].astype(jnp.int32)


def row_of(place: Int[Array, ""], columns: int, corrected: bool = False) -> Int[Array, ""]:
    """Returns the row of a matrix's element by its number, by the book's quotient in float32 or an integer one."""
    if corrected:
        return place // columns
    return (place.astype(jnp.float32) / columns).astype(place.dtype)


@jit
def offset_boxes(
    anchors: Float[Array, "anchors 4"], assigned_bb: Float[Array, "anchors 4"], eps: float = EPS
) -> Float[Array, "anchors 4"]:
    """Returns by how much boxes differ from their anchors, in centre and logarithm of the size (section 14.4).

    (10 (x_b - x_a) / w_a, 10 (y_b - y_a) / h_a, 5 log(eps + w_b / w_a), 5 log(eps + h_b / h_a)), of boxes by their
    corners.
    """
    anchor = box_corner_to_center(anchors)
    box = box_corner_to_center(assigned_bb)
    shift = 10 * (box[:, :2] - anchor[:, :2]) / anchor[:, 2:]
    growth = 5 * jnp.log(eps + box[:, 2:] / anchor[:, 2:])
    return jnp.concatenate([shift, growth], 1)


@jit
def offset_inverse(
    anchors: Float[Array, "anchors 4"], offset_preds: Float[Array, "anchors 4"]
) -> Float[Array, "anchors 4"]:
    """Returns the boxes, by their corners, that differ from the anchors by these offsets (section 14.4).

    The book's inverse leaves the `eps` of `offset_boxes` out.
    """
    anchor = box_corner_to_center(anchors)
    center = offset_preds[:, :2] * anchor[:, 2:] / 10 + anchor[:, :2]
    size = jnp.exp(offset_preds[:, 2:] / 5) * anchor[:, 2:]
    return box_center_to_corner(jnp.concatenate([center, size], 1))


@jit
def multibox_target(anchors: Float[Array, "1 anchors 4"], labels: Float[Array, "batch truths 5"]) -> BoxTarget:
    """Returns what a detector should say at each anchor of each image (section 14.4).

    labels: (class, left, top, right, bottom) of every true box
    """

    def of_image(label: Float[Array, "truths 5"]) -> BoxTarget:
        assigned = assign_anchor_to_bbox(label[:, 1:], anchors[0])
        has_box = assigned >= 0
        mask = jnp.repeat(has_box[:, None], 4, 1).astype(anchors.dtype)
        boxes = jnp.where(has_box[:, None], label[assigned, 1:], 0)
        classes = jnp.where(has_box, jnp.round(label[assigned, 0]).astype(jnp.int32) + 1, 0)
        offsets = offset_boxes(anchors[0], boxes) * mask
        return BoxTarget(offsets.reshape(-1), mask.reshape(-1), classes)

    return jax.vmap(of_image)(labels)


@dataclass(frozen=True)
class BoxTargets:
    """An evaluation: what a detector should say at "anchors" for "labels", and what the offsets lead back to."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
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
