"""The measures of `d2l_jax.metrics`, under the same names, in PyTorch's layout: (sum, count) of a batch, or None."""

from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Any]
SumAndCount = tuple[Tensor, int | Tensor]


def winners(scores: Tensor) -> Tensor:
    """Returns the class of most; classes are channels of an image, or the last axis."""
    return scores.argmax(1 if scores.ndim == 4 else -1)


def correct(tensors: Tensors) -> SumAndCount | None:
    """Counts the right labels; None where the targets are no labels."""
    scores, labels = tensors.get("output"), tensors.get("targets")
    if not isinstance(scores, Tensor) or not isinstance(labels, Tensor) or labels.is_floating_point():
        return None
    classes = winners(scores)
    return ((classes == labels).sum(), labels.numel()) if classes.shape == labels.shape else None


def correct_pixels(tensors: Tensors, ignore_index: int = 255) -> SumAndCount:
    """Counts the right labels of pixels; those that are `ignore_index` do not count."""
    labels = tensors["targets"]
    kept = labels != ignore_index
    return (winners(tensors["output"])[kept] == labels[kept]).sum(), kept.sum()


def wrong_anchors(tensors: Tensors) -> SumAndCount:
    """Counts the anchors whose class, or background, has not the highest score."""
    classes = tensors["classes"]
    return (tensors["scores"].argmax(-1) != classes).sum(), classes.numel()


def offset_errors(tensors: Tensors) -> SumAndCount:
    """Sums the absolute errors of the offsets of anchors with a box; the count is of all offsets."""
    masks = tensors["masks"]
    return (tensors["true_offsets"] * masks - tensors["offsets"] * masks).abs().sum(), masks.numel()


def masked_word_losses(tensors: Tensors) -> SumAndCount:
    """Returns the loss of the masked words."""
    return tensors["mlm_loss"], 1


def next_sentence_losses(tensors: Tensors) -> SumAndCount:
    """Returns the loss of the next sentences."""
    return tensors["nsp_loss"], 1


def summed_loss(tensors: Tensors) -> SumAndCount:
    """Returns (loss, number of targets), of a loss that is a sum over them."""
    return tensors["loss"], tensors["targets"].numel()


def loss_of_rows(tensors: Tensors) -> SumAndCount:
    """Returns (loss, number of examples), of a loss that is a sum over them."""
    targets = tensors["targets"]
    first = targets if isinstance(targets, Tensor) else targets[0]
    return tensors["loss"], first.shape[0]


def squared_errors(tensors: Tensors) -> SumAndCount:
    """Sums the squared errors of the ratings that there are; a target of 0 is none."""
    output, ratings = tensors["output"], tensors["targets"]
    errors = (output - ratings)[ratings != 0].square()
    return errors.sum(), errors.numel()


def others_of(tensors: Tensors) -> list[tuple[float, Tensor]] | None:
    """Returns for each example the score of its item and those of its other items; None of a training batch."""
    there = tensors["targets"] >= 0
    if there.shape[1] == 1:
        return None
    rows = zip(tensors["output"], tensors["others"], there, strict=True)
    return [(item.item(), others[which]) for item, others, which in rows]


def places(tensors: Tensors) -> list[int] | None:
    """Returns how many other items come before each item; one that scores as much does."""
    examples = others_of(tensors)
    return None if examples is None else [int((others >= item).sum()) for item, others in examples]


def hits(tensors: Tensors, k: int = 50) -> SumAndCount | None:
    """Counts the examples whose item is among the first k."""
    before = places(tensors)
    return None if before is None else (torch.tensor(sum(place < k for place in before)), len(before))


def gains(tensors: Tensors, k: int = 50) -> SumAndCount | None:
    """Sums 1 / log2(rank + 1) of the items among the first k; ranks from 1."""
    before = places(tensors)
    if before is None:
        return None
    ranks = torch.tensor([place + 1 for place in before if place < k], dtype=tensors["output"].dtype)
    return (1 / torch.log2(ranks + 1)).sum(), len(before)


def shares_below(tensors: Tensors) -> SumAndCount | None:
    """Sums the share of other items that score less; one that scores as much counts half."""
    examples = others_of(tensors)
    if examples is None:
        return None
    shares = [((others < item).double() + (others == item).double() / 2).mean() for item, others in examples]
    return torch.stack(shares).sum().to(tensors["output"].dtype), len(shares)


def right_clicks(tensors: Tensors, threshold: float = 0.0) -> SumAndCount:
    """Counts the clicks, and what is none, that are told from the logits."""
    clicks = tensors["targets"] > 0
    return ((tensors["output"] > threshold) == clicks).sum(), clicks.numel()
