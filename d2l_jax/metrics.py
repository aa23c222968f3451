"""What is measured of a batch beside its loss: functions of its named tensors."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.errors import InputError

PARTS = ("sum", "count")  # of what a metric is made of


class Metric(NamedTuple):
    """A figure that is a function of a mean over examples.

    measure: tensors -> (sum, count) of a batch, or None where there is nothing to count; None in the place of the
             function takes the loss itself
    figure:  of the mean over all batches
    """

    measure: Callable[[dict[str, Any]], tuple[Array, Any] | None] | None
    figure: Callable[[float], float] = float


def correct(tensors: dict[str, Any]) -> tuple[Array, int] | None:
    """Counts the right labels; None where the targets are no labels: integers, one for each row of scores."""
    outputs: Any = tensors.get("output")
    targets: Any = tensors.get("targets")
    if not hasattr(targets, "dtype") or not jnp.issubdtype(targets.dtype, jnp.integer):
        return None
    if not hasattr(outputs, "shape") or targets.shape != outputs.shape[:-1]:
        return None
    return jnp.sum(_right(outputs, targets)), targets.size


def correct_pixels(tensors: dict[str, Any], ignore_index: int = 255) -> tuple[Array, Array]:
    """Counts the right labels of pixels; those that are `ignore_index` do not count (book, section 14.11)."""
    targets = jnp.asarray(tensors["targets"])
    return jnp.sum(_right(tensors["output"], targets)), jnp.sum(targets != ignore_index)


def wrong_anchors(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Counts the anchors whose class, or background, has not the highest score (section 14.7)."""
    classes = tensors["classes"]
    return classes.size - jnp.sum(_right(tensors["scores"], classes)), classes.size


def offset_errors(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Sums the absolute errors of the offsets of anchors with a box; the count is of all offsets (section 14.7)."""
    masks = tensors["masks"]
    return jnp.sum(jnp.abs((tensors["true_offsets"] - tensors["offsets"]) * masks)), masks.size


def masked_word_losses(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Returns (loss of the masked words, 1): the mean over steps is what section 15.10 tells."""
    return tensors["mlm_loss"], 1


def next_sentence_losses(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Returns (loss of the next sentences, 1): the mean over steps is what section 15.10 tells."""
    return tensors["nsp_loss"], 1


def exp(loss: float) -> float:
    """Returns e to the loss; that of diverging training may be above what a float holds."""
    return math.exp(min(loss, 700.0))


def summed_loss(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Returns (loss, number of targets), of a loss that is a sum over them."""
    return tensors["loss"], tensors["targets"].size


def loss_of_rows(tensors: dict[str, Any]) -> tuple[Array, int]:
    """Returns (loss, number of examples), of a loss that is a sum over them; the targets may be several arrays."""
    targets = tensors["targets"]
    return tensors["loss"], len(targets[0] if isinstance(targets, tuple) else targets)


def squared_errors(tensors: dict[str, Any]) -> tuple[Array, Array]:
    """Sums the squared errors of the ratings that there are; a target of 0 is none (sections 21.3 and 21.4)."""
    targets = jnp.asarray(tensors["targets"])
    rated = targets != 0
    return jnp.sum((jnp.asarray(tensors["output"]) - targets) ** 2, where=rated), jnp.sum(rated)


def better(tensors: dict[str, Any]) -> tuple[Array, Array, Array] | None:
    """Counts the other items that score more than the item of each example, those that score as much, and all.

    None of a training batch, which has one other item for each example; of others a target of -1 is none.
    """
    there = jnp.asarray(tensors["targets"]) >= 0
    if there.shape[1] == 1:
        return None
    item, others = jnp.asarray(tensors["output"])[:, None], jnp.asarray(tensors["others"])
    above, equal, number = (jnp.sum(each & there, 1, others.dtype) for each in (others > item, others == item, there))
    return above, equal, number


def hits(tensors: dict[str, Any], k: int = 50) -> tuple[Array, int] | None:
    """Counts the examples whose item is among the first k; an item that scores as much comes before (section 21.6)."""
    counts = better(tensors)
    return None if counts is None else (jnp.sum(counts[0] + counts[1] < k), len(counts[0]))


def gains(tensors: dict[str, Any], k: int = 50) -> tuple[Array, int] | None:
    """Sums 1 / log2(rank + 1) of the items among the first k, the NDCG of one item; ranks from 1, as in `hits`."""
    counts = better(tensors)
    if counts is None:
        return None
    before = counts[0] + counts[1]
    return jnp.sum(jnp.where(before < k, 1 / jnp.log2(before + 2.0), 0)), len(before)


def shares_below(tensors: dict[str, Any]) -> tuple[Array, int] | None:
    """Sums the share of other items that score less, the AUC of one item; one that scores as much counts half."""
    counts = better(tensors)
    if counts is None:
        return None
    above, equal, all_others = counts
    return jnp.sum(1 - (above + equal / 2) / all_others), len(above)


def right_clicks(tensors: dict[str, Any], threshold: float = 0.0) -> tuple[Array, int]:
    """Counts the clicks, and what is none, that are told from the logits (section 21.9)."""
    clicks = jnp.asarray(tensors["targets"]) > 0
    return jnp.sum((jnp.asarray(tensors["output"]) > threshold) == clicks), clicks.size


def area_under_curve(scores: Float[Any, " examples"], clicks: Float[Any, " examples"]) -> float:
    """Returns the AUC: the share of pairs of a click and none of which the click scores more; equal ones count half.

    Raises InputError where all are clicks, or none is.
    """
    scores, clicks = np.asarray(scores, np.float64).ravel(), np.asarray(clicks).ravel() > 0
    if clicks.all() or not clicks.any():
        raise InputError(f"{int(clicks.sum())} of {clicks.size} examples are clicks; an AUC wants some of either kind")
    if np.isnan(scores).any():
        return math.nan
    others = np.sort(scores[~clicks])
    below, upto = (np.searchsorted(others, scores[clicks], side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(others))


def root(mean: float) -> float:
    """Returns the square root of a mean of squares; that of diverging training may be NaN."""
    return math.sqrt(mean) if mean >= 0 else math.nan


accuracy = Metric(correct)
pixel_accuracy = Metric(correct_pixels)
loss_per_example = Metric(summed_loss)
perplexity = Metric(None, exp)
LABELS = {"accuracy": accuracy}
OF_SUMS = {"loss": loss_per_example} | LABELS  # of a loss that is summed over a batch, as chapter 14 sums it
PRETRAINING = {"mlm_loss": Metric(masked_word_losses), "nsp_loss": Metric(next_sentence_losses)}
OF_ROWS = {"loss": Metric(loss_of_rows)}
RMSE = {"rmse": Metric(squared_errors, root)}
RANKS = OF_ROWS | {"hit_rate": Metric(hits), "auc": Metric(shares_below), "ndcg": Metric(gains)}
OF_CLICKS = {"loss": loss_per_example, "accuracy": Metric(right_clicks)}
BOXES = {"class_error": Metric(wrong_anchors), "bbox_mae": Metric(offset_errors)}


def measured(metrics: Mapping[str, Metric], tensors: dict[str, Any]) -> dict[str, tuple[Array, Any]]:
    """Returns (sum, count) by name, of the metrics that have something to measure."""
    values = {name: metric.measure(tensors) for name, metric in metrics.items() if metric.measure}
    return {name: (value[0], jnp.asarray(value[1])) for name, value in values.items() if value is not None}


def _right(outputs: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Bool[Array, "*batch"]:
    """argmax(outputs) == labels: no class before the label has as much, none behind it more, none is NaN.

    XLA:CPU takes five times as long for argmax.
    """
    at = labels[..., None].astype(int)
    most = jnp.take_along_axis(outputs, at, -1)
    classes = lax.broadcast_to_rank(jnp.arange(outputs.shape[-1]), outputs.ndim)
    beaten = jnp.where(classes < at, outputs < most, outputs <= most)
    return beaten.all(-1) & (labels >= 0) & (labels < outputs.shape[-1])
