"""Object detection: sections 14.3 to 14.8."""

from d2l_jax import algorithms
from d2l_jax.algorithms import drawn_boxes
from d2l_jax.case import Case

ALGORITHMS: tuple[Case, ...] = (
    Case(
        "box-conversions",
        "14.3",
        "Corners and centres of boxes",
        None,
        draw=drawn_boxes.draw_corners,
        observe=algorithms.BoxConversions(),
    ),
    Case(
        "multibox-prior",
        "14.4",
        "Anchor boxes",
        None,
        draw=drawn_boxes.draw_maps,
        observe=algorithms.Anchors(),
    ),
    Case(
        "box-iou",
        "14.4",
        "Overlaps of boxes",
        None,
        draw=drawn_boxes.draw_boxes,
        observe=algorithms.BoxOverlaps(),
    ),
    Case(
        "multibox-target",
        "14.4",
        "Classes and offsets of anchor boxes",
        None,
        draw=drawn_boxes.draw_labels,
        observe=algorithms.BoxTargets(),
    ),
    Case(
        "multibox-detection",
        "14.4",
        "Boxes from predictions, by non-maximum suppression",
        None,
        draw=drawn_boxes.draw_predictions,
        observe=algorithms.Detections(),
    ),
)

DETECTION = ALGORITHMS
