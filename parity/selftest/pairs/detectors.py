"""A correct detector: TinySSD with three stages, whose anchors are assigned to true boxes in the loss."""

import jax.numpy as jnp
import torch
from jaxtyping import Array

from d2l_jax import algorithms, losses, models
from d2l_jax.models.ssd import SIZES
from parity import reference
from parity.reference import losses as torch_losses
from parity.selftest.bug import Pair
from parity.selftest.pairs.building import rngs

ARGS = {"num_classes": 2, "channels": (3, 4, 5, 6), "sizes": SIZES[:3]}
BOXES = (
    ((0, 0.12, 0.08, 0.47, 0.61), (1, 0.55, 0.31, 0.93, 0.84)),
    ((1, 0.22, 0.45, 0.71, 0.97), (0, 0.51, 0.05, 0.88, 0.38)),
)


def detector() -> models.TinySSD:
    return models.TinySSD(**ARGS, rngs=rngs())


def torch_detector() -> torch.nn.Module:
    return reference.TinySSD(**ARGS)


def true_boxes(images: int) -> list[tuple]:
    """Returns the boxes of each image, those of `BOXES` in turn."""
    return [BOXES[number % len(BOXES)] for number in range(images)]


def detection(outputs: tuple[Array, ...], targets: object) -> Array:
    """The loss against `true_boxes`, whatever the targets are."""
    anchors, scores, offsets = outputs
    true = algorithms.multibox_target(anchors, jnp.asarray(true_boxes(len(scores)), anchors.dtype))
    return losses.detection_loss(scores, offsets, true.classes, true.offsets, true.masks)


def torch_detection(outputs: tuple[torch.Tensor, ...], targets: object) -> torch.Tensor:
    """The same in PyTorch."""
    anchors, scores, offsets = outputs
    true = reference.multibox_target(anchors.detach(), torch.tensor(true_boxes(len(scores)), dtype=anchors.dtype))
    return torch_losses.detection_loss(scores, offsets, true.classes, true.offsets, true.masks)


DETECTOR = Pair("detector", detector, torch_detector, (2, 19, 26, 3), loss=(detection, torch_detection))
