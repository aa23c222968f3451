"""PyTorch's loss with one option altered, or of other outputs and targets."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.losses.trial import AlteredLoss, Loss
from parity.models.copies import copy_of


def options(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[AlteredLoss]:
    """Other options of a module: reduction, ignored index, smoothing, weights, beta."""
    if not isinstance(loss, nn.Module):
        return
    current = vars(loss)
    if current.get("label_smoothing") is not None:
        for value in (0.0, 0.1, 0.05, 0.2, 0.01):
            text = f"Flax smooths the labels by {value:g}, PyTorch by {current['label_smoothing']:g}"
            yield "label-smoothing", text, _changed(loss, label_smoothing=value)
        smoothing = current["label_smoothing"]
        classes = x.shape[1] if x.ndim > 1 else 0
        if smoothing and classes > 1:
            text = (
                f"Flax shares the smoothing of {smoothing:g} among the other {classes - 1} classes, PyTorch among all"
            )
            yield "label-smoothing", text, _changed(loss, label_smoothing=smoothing * classes / (classes - 1))
    if current.get("ignore_index") is not None:
        for value in (-100, 0, -1, 255, 1):
            text = f"Flax ignores target {value}, PyTorch {current['ignore_index']}"
            yield "ignore-index", text, _changed(loss, ignore_index=value)
    if getattr(loss, "weight", None) is not None:
        text = "Flax has no weights of the classes"
        yield "class-weights", text, _changed(loss, weight=None)
    if getattr(loss, "pos_weight", None) is not None:
        yield "class-weights", "Flax has no pos_weight", _changed(loss, pos_weight=None)
    for option in ("beta", "delta", "margin"):
        for value in (1.0, 0.5, 0.1, 1 / 9, 2.0) if option in current else ():
            yield (
                option,
                f"Flax's {option} is {value:g}, PyTorch's {current[option]:g}",
                _changed(loss, **{option: value}),
            )
    if current.get("reduction") is not None:
        for value in ("sum", "mean", "none", "batchmean"):
            text = f"Flax's reduction is {value}, PyTorch's {current['reduction']}"
            yield "reduction", text, _changed(loss, reduction=value)


def _changed(loss: nn.Module, **attributes: Any) -> Loss:
    twin = copy_of(loss).double()
    for name, value in attributes.items():
        setattr(twin, name, value)
    return twin


def inputs(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[AlteredLoss]:
    """PyTorch's loss of other outputs: a softmax too many, a logarithm too few."""
    axis = 1 if x.ndim > 1 else 0
    yield "softmax-twice", "Flax applies the softmax once more", lambda x, y: loss(F.softmax(x, axis), y)
    yield "log-softmax-added", "Flax applies a log-softmax first", lambda x, y: loss(F.log_softmax(x, axis), y)
    yield (
        "sigmoid-added",
        "Flax applies a sigmoid first: it takes the outputs for logits",
        lambda x, y: loss(torch.sigmoid(x), y),
    )
    yield "logarithm-added", "Flax takes the logarithm of the outputs first", lambda x, y: loss(torch.log(x), y)
    yield "exponential-added", "Flax takes the exponential of the outputs first", lambda x, y: loss(torch.exp(x), y)
    yield "arguments-exchanged", "Flax exchanges outputs and targets", lambda x, y: loss(y, x)
    if not y.is_floating_point() and x.ndim > 1:
        classes = x.shape[1]
        for by in (1, -1):
            text = f"Flax's labels are {by:+d}"
            yield "labels-shifted", text, lambda x, y, by=by: loss(x, (y + by) % classes)
        if x.ndim > 2 and x.shape[-1] != x.shape[1]:
            return
        if x.ndim > 2:
            yield "class-axis", "Flax's classes are on the last axis", lambda x, y: loss(x.movedim(-1, 1), y)
