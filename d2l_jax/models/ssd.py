"""TinySSD: a detector of one shot (Liu et al. 2016; book, section 14.7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.algorithms import multibox_detection, multibox_prior, multibox_target

Tensors = dict[str, Any]
Maps = Float[Array, "batch height width channels"]
Predictions = tuple[Float[Array, "1 anchors 4"], Float[Array, "batch anchors classes"], Float[Array, "batch offsets"]]

SIZES = ((0.2, 0.272), (0.37, 0.447), (0.54, 0.619), (0.71, 0.79), (0.88, 0.961))
RATIOS = (1.0, 2.0, 0.5)
CHANNELS = (16, 32, 64, 128)


def cls_predictor(num_inputs: int, num_anchors: int, num_classes: int, *, rngs: nnx.Rngs) -> nn.Conv2d:
    """Scores the classes and the background of every anchor of a pixel, by a 3x3 convolution (section 14.7)."""
    return nn.Conv2d(num_inputs, num_anchors * (num_classes + 1), 3, padding=1, rngs=rngs)


def bbox_predictor(num_inputs: int, num_anchors: int, *, rngs: nnx.Rngs) -> nn.Conv2d:
    """Tells the four offsets of every anchor of a pixel, by a 3x3 convolution (section 14.7)."""
    return nn.Conv2d(num_inputs, num_anchors * 4, 3, padding=1, rngs=rngs)


def down_sample_blk(in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Halves height and width: two 3x3 convolutions with batch norm and ReLU, and a max pool (section 14.7)."""
    layers = []
    for _ in range(2):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1, rngs=rngs), nn.BatchNorm(out_channels), nnx.relu]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def base_net(in_channels: int = 3, channels: tuple[int, ...] = CHANNELS[:3], *, rngs: nnx.Rngs) -> nn.Sequential:
    """Extracts features: a `down_sample_blk` for each of `channels`, 256x256 -> 32x32 (section 14.7)."""
    blocks = []
    for out_channels in channels:
        blocks.append(down_sample_blk(in_channels, out_channels, rngs=rngs))
        in_channels = out_channels
    return nn.Sequential(*blocks)


class TinySSD(nnx.Module):
    """TinySSD: five stages of ever smaller maps, and of each the classes and offsets of its anchors (section 14.7).

    Images (batch, height, width, channels), numbers from 0 to 255 as the book has them; 256x256 have 5,444 anchors.

    channels: of the three blocks of the first stage, and of the next three stages; the last is a global pool
    """

    def __init__(
        self,
        num_classes: int = 1,
        in_channels: int = 3,
        channels: tuple[int, ...] = CHANNELS,
        sizes: tuple[tuple[float, ...], ...] = SIZES,
        ratios: tuple[float, ...] = RATIOS,
        *,
        rngs: nnx.Rngs,
    ):
        self.num_classes = num_classes
        self.sizes = sizes
        self.ratios = ratios
        *first, wide = channels
        num_anchors = len(sizes[0]) + len(ratios) - 1
        num_inputs = first[-1]
        for stage in range(len(sizes)):
            if stage == 0:
                self.blk_0 = base_net(in_channels, tuple(first), rngs=rngs)
            elif stage == len(sizes) - 1:
                setattr(self, f"blk_{stage}", nn.AdaptiveMaxPool2d(1))
            else:
                setattr(self, f"blk_{stage}", down_sample_blk(num_inputs, wide, rngs=rngs))
                num_inputs = wide
            setattr(self, f"cls_{stage}", cls_predictor(num_inputs, num_anchors, num_classes, rngs=rngs))
            setattr(self, f"bbox_{stage}", bbox_predictor(num_inputs, num_anchors, rngs=rngs))

    def __call__(self, X: Maps) -> Predictions:
        """Returns the anchors, the scores of background and classes at each, and the offsets of each."""
        anchors = []
        scores = []
        offsets = []
        for stage, sizes in enumerate(self.sizes):
            X = getattr(self, f"blk_{stage}")(X)
            anchors.append(multibox_prior(X, sizes, self.ratios))
            scores.append(getattr(self, f"cls_{stage}")(X).reshape(len(X), -1))
            offsets.append(getattr(self, f"bbox_{stage}")(X).reshape(len(X), -1))
        classes = jnp.concatenate(scores, 1).reshape(len(X), -1, self.num_classes + 1)
        return jnp.concatenate(anchors, 1), classes, jnp.concatenate(offsets, 1)


@dataclass(frozen=True)
class Detecting:
    """An objective: the loss of a detector for the images "input" against the true boxes "targets".

    loss:    (scores, offsets, classes, true offsets, masks) -> scalar
    penalty: nothing
    """

    loss: Callable[..., Array]
    penalty: None = None

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns the loss, and what it was computed from: the predictions, and what would be right."""
        anchors, scores, offsets = nets(image_of(tensors["input"]))
        target = multibox_target(anchors, tensors["targets"])
        more = {
            "anchors": anchors,
            "scores": scores,
            "offsets": offsets,
            "classes": target.classes,
            "true_offsets": target.offsets,
            "masks": target.masks,
        }
        return self.loss(scores, offsets, target.classes, target.offsets, target.masks), more


@dataclass(frozen=True)
class Detected:
    """An evaluation: the same, and its loss."""

    loss: Callable[..., Array]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns {"anchors", "scores", "offsets", "classes", "true_offsets", "masks", "loss"}."""
        loss, more = Detecting(self.loss)(nets, tensors)
        return more | {"loss": loss}


def detections(model: Any, images: Maps) -> Float[Array, "batch anchors 6"]:
    """Returns (class, confidence, left, top, right, bottom) for every anchor, class -1 for what is no object.

    images: numbers from 0 to 255; corners are parts of width and height (section 14.7)
    """
    anchors, scores, offsets = model(images)
    return multibox_detection(jax.nn.softmax(scores).swapaxes(1, 2), offsets, anchors)


def image_of(inputs: Any) -> Any:
    """Returns the images, which may stand in a tuple as the only input."""
    return inputs[0] if isinstance(inputs, tuple) else inputs
