"""Non-maximum suppression, of which the answer has a fixed size (book, section 14.4)."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.algorithms.boxes import box_area, overlaps
from d2l_jax.cpu.compile import jit

BLOCK = 128  # boxes that are settled together


class Selection(NamedTuple):
    """Which boxes stay: `indices[:length]`, the highest score first; behind them stands -1."""

    indices: Int[Array, " boxes"]
    length: Int[Array, ""]


@partial(jit, static_argnames="both_empty")
def nms(
    boxes: Float[Array, "boxes 4"], scores: Float[Array, " boxes"], iou_threshold: float, both_empty: bool = True
) -> Selection:
    """Returns the boxes that overlap none of a higher score by more than the threshold (section 14.4).

    Of equal scores the first box comes first; NaN is the highest. Boxes are (left, top, right, bottom).

    both_empty: a box goes, too, where the overlap is NaN, since both boxes are empty or one holds NaN, as in the book;
                False keeps it, as torchvision's `nms` does

    The boxes are settled in blocks, each against those that stay so far, which are kept close together: as many
    overlaps as pairs of a box and one that stays, whole blocks at a time.
    """
    return _kept(boxes, scores, jnp.zeros(len(boxes), boxes.dtype), iou_threshold, both_empty)


@partial(jit, static_argnames="both_empty")
def batched_nms(
    boxes: Float[Array, "boxes 4"],
    scores: Float[Array, " boxes"],
    classes: Int[Array, " boxes"],
    iou_threshold: float,
    both_empty: bool = True,
) -> Selection:
    """Returns what `nms` does, but that boxes of different classes leave each other alone."""
    return _kept(boxes, scores, classes.astype(boxes.dtype), iou_threshold, both_empty)


def _kept(boxes: Array, scores: Array, classes: Array, iou_threshold: float, both_empty: bool) -> Selection:
    count = len(boxes)
    ranked = by_score(scores)
    columns = jnp.concatenate([boxes.T, box_area(boxes)[None], classes[None]])[:, ranked]
    padded = jnp.pad(columns, ((0, 0), (0, -count % BLOCK)))
    goes = partial(_goes, threshold=iou_threshold, both_empty=both_empty)
    lanes = jnp.arange(BLOCK)
    earlier = lanes[None] < lanes[:, None]

    def block(number: Int[Array, ""], state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        stays, ranks, length = state
        start = number * BLOCK
        here = lax.dynamic_slice_in_dim(padded, start, BLOCK, 1)
        free = (start + lanes < count) & ~_beaten(here, stays, length, goes)
        free = _settled(free, goes(here, here) & earlier)
        order = jnp.argsort(~free)
        stays = lax.dynamic_update_slice_in_dim(stays, here[:, order], length, 1)
        ranks = lax.dynamic_update_slice_in_dim(ranks, start + order, length, 0)
        return stays, ranks, length + jnp.sum(free)

    room = padded.shape[1] + BLOCK
    empty = jnp.zeros((len(columns), room), columns.dtype), jnp.zeros(room, int), jnp.zeros((), int)
    _, ranks, length = lax.fori_loop(0, padded.shape[1] // BLOCK, block, empty)
    index = jnp.where(jnp.arange(count) < length, ranked[ranks[:count]], -1)
    return Selection(index.astype(jnp.int32), length.astype(jnp.int32))


def by_score(scores: Float[Array, " boxes"]) -> Int[Array, " boxes"]:
    """Returns the boxes' numbers, the highest score first: NaN before all, the first of equals first."""
    return jnp.lexsort((-scores, ~jnp.isnan(scores)))


def _goes(these: Array, others: Array, threshold: float, both_empty: bool) -> Bool[Array, "these others"]:
    """Tells which of these would go if the others stay; rows are left, top, right, bottom, area, class."""
    one = these[:, :, None]
    other = others[:, None]
    iou = overlaps(tuple(one[:4]), tuple(other[:4]), (other[4], one[4]))
    far = iou <= threshold if both_empty else ~(iou > threshold)
    return ~far & (one[5] == other[5])


def _beaten(here: Array, stays: Array, length: Array, goes: partial) -> Bool[Array, " block"]:
    """Tells which boxes of a block go because of those that stay, the first `length` columns of `stays`."""

    def undecided(state: tuple[Array, Array]) -> Array:
        start, gone = state
        return (start < length) & ~gone.all()

    def against(state: tuple[Array, Array]) -> tuple[Array, Array]:
        start, gone = state
        valid = start + jnp.arange(BLOCK) < length
        others = lax.dynamic_slice_in_dim(stays, start, BLOCK, 1)
        return start + BLOCK, gone | (goes(here, others) & valid[None]).any(1)

    return lax.while_loop(undecided, against, (jnp.zeros((), length.dtype), jnp.zeros(BLOCK, bool)))[1]


def _settled(free: Bool[Array, " block"], goes: Bool[Array, "block block"]) -> Bool[Array, " block"]:
    """Returns which boxes of a block stay, of those that are free.

    A box stays if none that stays before it lets it go: repeated until nothing changes, which takes as many rounds as
    the longest chain of boxes that decide over each other.
    """

    def round_of(state: tuple[Array, Array]) -> tuple[Array, Array]:
        stay, _ = state
        return free & ~(goes & stay[None]).any(1), stay

    return lax.while_loop(lambda state: (state[0] != state[1]).any(), round_of, (free, jnp.zeros_like(free)))[0]
