"""Object detection: sections 14.3 to 14.8."""

from dataclasses import replace
from functools import partial

from d2l_jax import algorithms, losses, models, optim
from d2l_jax.algorithms import drawn_boxes
from d2l_jax.case import Case, supervised
from d2l_jax.metrics import BOXES
from d2l_jax.models.ssd import SIZES
from d2l_jax.turns import Turn

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

SSD = Case(
    "tiny-ssd",
    "14.7",
    "TinySSD",
    models.TinySSD,
    (32, 256, 256, 3),
    args={"num_classes": 1},
    probe={"channels": (5, 7, 9, 11), "sizes": SIZES[:4]},
    probe_inputs=(9, 35, 67, 3),
    draw=drawn_boxes.draw_scenes,
    turns=(Turn(models.Detecting(losses.detection_loss), partial(optim.SGD, lr=0.2, weight_decay=5e-4)),),
    observe=models.Detected(losses.detection_loss),
    metrics=BOXES,
    data="bananas",
    epochs=20,
)
MINED = partial(losses.detection_loss, negatives=3.0)
TINY_SSD: tuple[Case, ...] = (
    SSD,
    replace(
        SSD,
        name="tiny-ssd-mined",
        title="TinySSD with hard-negative mining",
        inputs=(16, *SSD.inputs[1:]),
        turns=(Turn(models.Detecting(MINED), partial(optim.SGD, lr=0.05, weight_decay=5e-4)),),
        observe=models.Detected(MINED),
    ),
)

RCNN: tuple[Case, ...] = (
    supervised(
        "fast-rcnn-head",
        "14.8",
        "Classes and boxes of regions, by RoI pooling",
        models.FastRCNNHead,
        args={"num_classes": 2, "in_channels": 5, "output_size": (2, 3), "spatial_scale": 0.5, "num_hiddens": 7},
        draw=drawn_boxes.draw_regions,
        loss=losses.sum_of_mses,
        labels=False,
    ),
)

DETECTION = ALGORITHMS + TINY_SSD + RCNN
