"""Boxes, anchors, targets and detections: the specification's numbers, and PyTorch's twins on drawn boxes."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import parity.reference as reference
from d2l_jax import algorithms
from d2l_jax.algorithms.assignment import row_of
from d2l_jax.algorithms.drawn_boxes import draw_labels
from d2l_jax.errors import InputError
from parity.reference.assignment import row_of as torch_row_of

GOLDEN = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())
LABELS = np.array([[0, 0.1, 0.08, 0.52, 0.92], [1, 0.55, 0.2, 0.9, 0.88]], np.float32)
ANCHORS = np.array(
    [
        [0, 0.1, 0.2, 0.3],
        [0.15, 0.2, 0.4, 0.4],
        [0.63, 0.05, 0.88, 0.98],
        [0.66, 0.45, 0.8, 0.8],
        [0.57, 0.3, 0.92, 0.9],
    ],
    np.float32,
)
FOUND = np.array(
    [[0.1, 0.08, 0.52, 0.92], [0.08, 0.2, 0.56, 0.95], [0.15, 0.3, 0.62, 0.91], [0.55, 0.2, 0.9, 0.88]], np.float32
)
PROBS = np.array([[0] * 4, [0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.9]], np.float32)
SIDES = {"jax": (algorithms, jnp.asarray), "torch": (reference, torch.as_tensor)}
both = pytest.mark.parametrize("side", SIDES)


def is_golden(values, name: str) -> bool:
    """Compares with the specification's numbers, which have six decimals."""
    expected = np.asarray(GOLDEN[name])
    return np.shape(values) == expected.shape and bool(np.all(np.abs(np.asarray(values) - expected) <= 1e-6))


def feature_map(side: str, height: int, width: int):
    shape = (1, height, width, 3) if side == "jax" else (1, 3, height, width)
    return SIDES[side][1](np.zeros(shape, np.float32))


@both
@pytest.mark.parametrize(
    ("name", "size", "sizes", "ratios"),
    [
        ("multibox_prior fmap 1x1 sizes [.75,.5,.25] ratios [1,2,.5]", (1, 1), (0.75, 0.5, 0.25), (1, 2, 0.5)),
        ("multibox_prior fmap 2(h)x3(w) sizes [.4] ratios [1,2]", (2, 3), (0.4,), (1, 2)),
    ],
)
def test_anchors(side, name, size, sizes, ratios):
    anchors = SIDES[side][0].multibox_prior(feature_map(side, *size), sizes, ratios)
    assert is_golden(anchors[0], name)


@both
def test_anchors_of_a_picture(side):
    shape, anchors = GOLDEN["multibox_prior 561x728: shape and anchors at row 250 col 250"]
    rows = SIDES[side][0].multibox_prior(feature_map(side, 561, 728), (0.75, 0.5, 0.25), (1, 2, 0.5))
    assert list(rows.shape) == shape
    np.testing.assert_allclose(np.asarray(rows).reshape(561, 728, 5, 4)[250, 250], anchors, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("sizes", "ratios"), [((), (1,)), ((0.5,), ()), ((0.5, -0.1), (1,)), ((0.5,), (0,))])
def test_anchors_without_a_size_are_refused(sizes, ratios):
    with pytest.raises(InputError, match="one or more numbers above 0 are right"):
        algorithms.multibox_prior(feature_map("jax", 2, 3), sizes, ratios)


@both
def test_overlaps_and_assignment(side):
    room, array = SIDES[side]
    truth = array(LABELS[:, 1:])
    assert is_golden(room.box_iou(array(ANCHORS), truth), "box_iou anchors x gt (14.4 example)")
    assigned = room.assign_anchor_to_bbox(truth, array(ANCHORS))
    assert assigned.tolist() == GOLDEN["assign_anchor_to_bbox (14.4 example)"]


@both
def test_targets(side):
    room, array = SIDES[side]
    target = room.multibox_target(array(ANCHORS)[None], array(LABELS)[None])
    offsets, masks, classes = GOLDEN["multibox_target (14.4 example): offsets, mask, classes"]
    np.testing.assert_allclose(np.asarray(target.offsets), offsets, atol=2e-6, rtol=0)
    assert target.masks.tolist() == masks
    assert target.classes.tolist() == classes


@both
def test_detections(side):
    room, array = SIDES[side]
    selected = room.nms(array(FOUND), array(PROBS).max(0) if side == "jax" else array(PROBS).max(0).values, 0.5)
    assert selected.indices[: int(selected.length)].tolist() == GOLDEN["nms keep (14.4 example)"]
    zeros = array(np.zeros((1, 16), np.float32))
    rows = room.multibox_detection(array(PROBS)[None], zeros, array(FOUND)[None], 0.5)
    assert is_golden(rows, "multibox_detection (14.4 example, nms .5)")


@both
def test_conversions_are_each_other_s_inverse(side):
    room, array = SIDES[side]
    boxes = array(np.array([[60.0, 45, 378, 516], [400, 112, 655, 493]], np.float32))
    centers = room.box_corner_to_center(boxes)
    assert centers.tolist() == [[219, 280.5, 318, 471], [527.5, 302.5, 255, 381]]
    assert room.box_center_to_corner(centers).tolist() == boxes.tolist()


def test_offsets_lead_back_to_the_box_but_for_the_eps():
    random = np.random.default_rng(0)
    batch = draw_labels(random)
    boxes = batch["labels"][0, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0], 1:]
    offsets = algorithms.offset_boxes(jnp.asarray(batch["anchors"][0]), jnp.asarray(boxes))
    back = algorithms.offset_inverse(jnp.asarray(batch["anchors"][0]), offsets)
    np.testing.assert_allclose(back, boxes, atol=3e-6)
    plain = algorithms.offset_boxes(jnp.asarray(batch["anchors"][0]), jnp.asarray(boxes), eps=0.1)
    assert np.abs(plain - offsets).max() > 0.1  # control: the eps is in the logarithm


# The float32 quotient of the book's assignment: right up to 2^24, then another anchor's number.
@pytest.mark.parametrize("sides", [(row_of, jnp.asarray), (torch_row_of, torch.as_tensor)])
def test_the_books_quotient_is_wrong_for_many_anchors(sides):
    quotient, array = sides
    small = array(5444 * 7 - 1)
    large = array(2042040 * 9 - 1)
    assert int(quotient(small, 7)) == int(quotient(small, 7, corrected=True)) == 5443
    assert int(quotient(large, 9, corrected=True)) == 2042039
    assert int(quotient(large, 9)) == 2042040


GRID = st.integers(0, 8).map(lambda n: n / 8)  # exact in float32: overlaps tie, touch and vanish


@st.composite
def labelled(draw) -> tuple[np.ndarray, np.ndarray]:
    """Draws 6 anchors that are not empty, and 4 labels, some of which are."""
    corners = draw(st.lists(st.tuples(GRID, GRID, GRID, GRID), min_size=10, max_size=10))
    boxes = np.array(corners, np.float32)
    boxes[:6, 2:] = boxes[:6, :2] + np.maximum(boxes[:6, 2:], 0.125)
    classes = draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
    return boxes[:6], np.concatenate([np.array(classes, np.float32)[:, None], boxes[6:]], 1)


@settings(max_examples=60, deadline=None)
@given(labelled())
def test_drawn_labels_have_the_twins_targets(drawn):
    anchors, label = drawn
    ours = algorithms.multibox_target(jnp.asarray(anchors)[None], jnp.asarray(label)[None])
    theirs = reference.multibox_target(torch.tensor(anchors)[None], torch.tensor(label)[None])
    assert ours.classes.tolist() == theirs.classes.tolist()
    assert ours.masks.tolist() == theirs.masks.tolist()
    np.testing.assert_allclose(ours.offsets, theirs.offsets.numpy(), rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(labelled(), st.lists(st.integers(0, 64), min_size=18, max_size=18))
def test_drawn_predictions_have_the_twins_detections(drawn, scores):
    anchors, _ = drawn
    probs = np.array(scores, np.float32).reshape(1, 3, 6) / 64  # ties of classes and of boxes
    zeros = np.zeros((1, 24), np.float32)
    ours = algorithms.multibox_detection(*map(jnp.asarray, (probs, zeros, anchors[None])))
    theirs = reference.multibox_detection(*map(torch.tensor, (probs, zeros, anchors[None])))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-6)


def test_the_algorithms_are_compiled_once_for_each_size():
    def all_of_it(anchors, labels, probs):
        target = algorithms.multibox_target(anchors, labels)
        return target, algorithms.multibox_detection(probs, target.offsets, anchors)

    jitted = jax.jit(all_of_it)
    probs = jnp.asarray(PROBS[:, [0, 1, 2, 3, 0]])[None]
    for shift in (0.0, 0.01):
        jitted(jnp.asarray(ANCHORS + np.float32(shift))[None], jnp.asarray(LABELS)[None], probs)
    assert jitted._cache_size() == 1
