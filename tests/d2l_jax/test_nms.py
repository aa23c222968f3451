"""Overlaps and non-maximum suppression, value by value as torchvision computes them, and where the two part."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torchvision.ops
from hypothesis import given, settings
from hypothesis import strategies as st

import parity.reference as reference
from d2l_jax import algorithms
from d2l_jax.algorithms.nms import BLOCK, by_score

# Eighths and sums of them are exact in float32, in any order: equal means equal.
SIDES = st.one_of(st.integers(-16, 24).map(lambda n: n / 8), st.just(float("nan")))
PLAIN = st.integers(0, 24).map(lambda n: n / 8)
SCORES = st.one_of(st.integers(-2, 6).map(lambda n: n / 4), st.sampled_from([-0.0, float("nan"), float("inf")]))
THRESHOLDS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def boxes_of(sides: st.SearchStrategy[float], count: int) -> st.SearchStrategy[np.ndarray]:
    """Draws boxes by corners in any order: empty ones, reversed ones, ones that touch or are equal."""
    rows = st.lists(st.tuples(sides, sides, sides, sides), min_size=count, max_size=count)
    return rows.map(lambda rows: np.array(rows, np.float32))


def scores_of(count: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(SCORES, min_size=count, max_size=count).map(lambda row: np.array(row, np.float32))


def stay(selected) -> list[int]:
    length = int(selected.length)
    assert selected.indices[length:].tolist() == [-1] * (len(selected.indices) - length)
    return selected.indices[:length].tolist()


@settings(max_examples=100, deadline=None)
@given(boxes_of(SIDES, 5), boxes_of(SIDES, 4))
def test_overlaps_are_torchvisions(boxes1, boxes2):
    ours = algorithms.box_iou(jnp.asarray(boxes1), jnp.asarray(boxes2))
    theirs = torchvision.ops.box_iou(torch.tensor(boxes1), torch.tensor(boxes2))
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_overlaps_of_any_boxes_are_torchvisions_but_for_rounding():
    corners = np.random.default_rng(0).random((2, 300, 2, 2)).astype(np.float32)
    boxes1, boxes2 = np.sort(corners, axis=2).reshape(2, 300, 4)
    ours = algorithms.box_iou(jnp.asarray(boxes1), jnp.asarray(boxes2))
    theirs = torchvision.ops.box_iou(torch.tensor(boxes1), torch.tensor(boxes2))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6, atol=1e-8)


@settings(max_examples=120, deadline=None)
@given(boxes_of(SIDES, 8), scores_of(8), THRESHOLDS)
def test_the_boxes_that_stay_are_torchvisions(boxes, scores, threshold):
    ours = algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), threshold, both_empty=False)
    theirs = torchvision.ops.nms(torch.tensor(boxes), torch.tensor(scores), threshold)
    assert stay(ours) == theirs.tolist()


@settings(max_examples=60, deadline=None)
@given(boxes_of(SIDES, 8), scores_of(8), THRESHOLDS)
def test_the_boxes_that_stay_are_the_books(boxes, scores, threshold):
    ours = algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), threshold)
    theirs = reference.nms(torch.tensor(boxes), torch.tensor(scores), threshold)
    assert stay(ours) == stay(theirs)


@settings(max_examples=60, deadline=None)
@given(boxes_of(PLAIN, 8), scores_of(8), st.lists(st.integers(0, 2), min_size=8, max_size=8), THRESHOLDS)
def test_the_boxes_that_stay_by_class_are_torchvisions(boxes, scores, classes, threshold):
    scores = np.nan_to_num(scores, posinf=9)
    ours = algorithms.batched_nms(*map(jnp.asarray, (boxes, scores, classes)), threshold, both_empty=False)
    theirs = torchvision.ops.batched_nms(*map(torch.tensor, (boxes, scores, classes)), threshold)
    assert stay(ours) == theirs.tolist()


@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 1100])
@pytest.mark.parametrize("spread", [1, 40])
def test_more_boxes_than_a_block(count, spread):
    """Compares many boxes; from 1,001 on, torchvision suppresses class by class, and mixes those of equal scores."""
    random = np.random.default_rng(count)
    corner = random.integers(0, 8 * spread, (count, 2))
    boxes = (np.concatenate([corner, corner + random.integers(0, 24, (count, 2))], 1) / 8).astype(np.float32)
    scores = (random.integers(0, 50, count) / 50).astype(np.float32)
    selected = algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), 0.5, both_empty=False)
    assert stay(selected) == torchvision.ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.5).tolist()
    drawn = boxes, (random.permutation(count) / 2048).astype(np.float32), random.integers(0, 5, count)
    by_class = algorithms.batched_nms(*map(jnp.asarray, drawn), 0.5, both_empty=False)
    assert stay(by_class) == torchvision.ops.batched_nms(*map(torch.tensor, drawn), 0.5).tolist()


# Where the two part.
def test_two_empty_boxes_at_a_place():
    """Pins the overlap NaN: the book drops the second box, torchvision keeps it."""
    boxes = np.zeros((2, 4), np.float32)
    scores = np.array([1.0, 0.5], np.float32)
    assert stay(algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), 0.5)) == [0]
    assert torchvision.ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.5).tolist() == [0, 1]


def test_an_overlap_that_is_the_threshold_in_float32():
    """Pins 3/10: torchvision compares with the threshold in float64, which float32 rounds up; the book does not."""
    boxes = np.array([[0, 0, 10, 1], [0, 0, 3, 1]], np.float32)
    scores = np.array([1.0, 0.5], np.float32)
    for both_empty in (True, False):
        assert stay(algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), 0.3, both_empty=both_empty)) == [0, 1]
    assert stay(reference.nms(torch.tensor(boxes), torch.tensor(scores), 0.3)) == [0, 1]
    assert torchvision.ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.3).tolist() == [0]


def test_classes_beside_negative_corners():
    """Pins torchvision's shift by class, which puts boxes of two classes upon each other where corners are negative."""
    boxes = np.array([[-1, -1, 0, 0], [-2, -2, -1, -1]], np.float32)
    scores = np.array([1.0, 0.5], np.float32)
    classes = np.array([0, 1])
    ours = algorithms.batched_nms(*map(jnp.asarray, (boxes, scores, classes)), 0.5, both_empty=False)
    assert stay(ours) == [0, 1]
    assert torchvision.ops.batched_nms(*map(torch.tensor, (boxes, scores, classes)), 0.5).tolist() == [0]


def test_scores_that_are_equal_or_not_numbers():
    scores = np.array([0.0, 1, np.nan, -0.0, 1, np.inf, -np.nan, -np.inf], np.float32)
    expected = torch.tensor(scores).argsort(descending=True, stable=True)
    assert by_score(jnp.asarray(scores)).tolist() == expected.tolist() == [2, 6, 5, 1, 4, 0, 3, 7]


def test_control_another_threshold_keeps_others():
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1]], np.float32)
    scores = np.array([1.0, 0.5], np.float32)
    for threshold, expected in ((0.25, [0]), (0.5, [0, 1])):  # the overlap is 1/3
        assert stay(algorithms.nms(jnp.asarray(boxes), jnp.asarray(scores), threshold)) == expected
