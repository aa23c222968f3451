"""Batches of boxes for the checks of the algorithms: sizes all different, nothing near a threshold."""

from typing import Any

import numpy as np

Batch = dict[str, np.ndarray]


def draw_boxes(random: np.random.Generator) -> Batch:
    """Draws 7 anchors, and 5 true boxes that overlap some of them: corners in order, float32."""
    truth = _corners(random.random((5, 2)), 0.2 + random.random((5, 2)))
    shifted = truth[[0, 1, 2, 3, 4, 0, 1]] + 0.1 * random.normal(size=(7, 1)).astype(np.float32)
    return {"anchors": shifted.astype(np.float32), "truth": truth}


def draw_corners(random: np.random.Generator) -> Batch:
    """Draws 7 boxes by their corners, float32."""
    return {"boxes": _corners(random.random((7, 2)), 0.2 + random.random((7, 2)))}


def draw_maps(random: np.random.Generator) -> Batch:
    """Draws a batch of 2 feature maps of 5 rows, 7 columns and 3 channels as "data", float32."""
    return {"data": random.normal(size=(2, 5, 7, 3)).astype(np.float32)}


def draw_labels(random: np.random.Generator) -> Batch:
    """Draws 11 "anchors", and "labels" of 3 images with 5 boxes of 4 classes each, float32."""
    truth = _corners(random.random((3, 5, 2)), 0.3 + 0.5 * random.random((3, 5, 2)))
    classes = random.integers(0, 4, (3, 5, 1)).astype(np.float32)
    anchors = np.concatenate([truth[0], truth[1], truth[2, :1]]) + 0.08 * random.normal(size=(11, 1))
    return {"anchors": anchors[None].astype(np.float32), "labels": np.concatenate([classes, truth], 2)}


def draw_predictions(random: np.random.Generator) -> Batch:
    """Draws 13 "anchors" around 4 places, and "cls_probs" of 3 classes and background and "offsets" for 2 images.

    No two confidences are near each other, and some are below 0.01. All float32.
    """
    places = _corners(random.random((4, 2)), 0.3 + 0.5 * random.random((4, 2)))
    anchors = places[np.arange(13) % 4] + 0.03 * random.normal(size=(13, 1))
    confidence = np.stack([random.permutation(13) / 14 + 0.003 for _ in range(2)])
    shares = random.dirichlet((1, 1), (2, 13)) * 0.9 * np.minimum(confidence, 1 - confidence)[..., None]
    rest = 1 - confidence - shares.sum(-1)
    probs = np.concatenate([rest[..., None], shares, confidence[..., None]], -1)
    for row in probs.reshape(-1, 4):
        row[1:] = random.permutation(row[1:])
    offsets = 0.3 * random.normal(size=(2, 4 * 13))
    arrays = {"anchors": anchors[None], "cls_probs": probs.transpose(0, 2, 1), "offsets": offsets}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def draw_scenes(random: np.random.Generator) -> Batch:
    """Draws 8 images of 35x67 pixels with 3 channels, and 2 boxes of class 0 in each, float32.

    The boxes have about the shapes of anchors: one that several anchors contain overlaps them alike but for rounding.
    """
    size = random.choice([0.2, 0.272, 0.37, 0.447, 0.54], (8, 2))
    stretch = np.sqrt(random.choice([1, 2, 0.5], (8, 2)))
    shape = np.stack([size * stretch / 2, size / stretch], -1) * random.uniform(0.97, 1.03, (8, 2, 2))
    corner = random.random((8, 2, 2)) * (1 - shape)
    labels = np.concatenate([np.zeros((8, 2, 1)), corner, corner + shape], 2)
    images = 0.4 + random.normal(size=(8, 35, 67, 3))
    return {"input": images.astype(np.float32), "targets": labels.astype(np.float32)}


def draw_regions(random: np.random.Generator) -> dict[str, Any]:
    """Draws a feature map of 11 rows, 13 columns and 5 channels with 9 regions in twice as many pixels as "input".

    The "targets" are scores (9, 3) and offsets (9, 4). All float32; no corner is near the middle between two pixels.
    """
    features = random.normal(size=(1, 11, 13, 5)).astype(np.float32)
    corners = 2 * random.integers(-2, 14, (9, 4)) + 0.4
    rois = np.concatenate([np.zeros((9, 1)), corners], 1).astype(np.float32)
    targets = tuple(random.normal(size=(9, size)).astype(np.float32) for size in (3, 4))
    return {"input": (features, rois), "targets": targets}


def _corners(upper_left: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([upper_left, upper_left + size], axis=-1).astype(np.float32)
