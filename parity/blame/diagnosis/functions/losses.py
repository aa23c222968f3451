"""Losses as functions, with other options than a model gives them."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

SMOOTHINGS = (0.0, 0.1, 0.05, 0.2)


def cross_entropy(call: FunctionCall) -> Iterator[Alternative]:
    """Class weights, smoothing and ignored targets: each left out or added, alone or together."""
    x = call.x
    y = call.option(1, "target")
    now: dict[str, Any] = {
        "weight": call.option(2, "weight"),
        "ignore_index": call.option(4, "ignore_index", -100),
        "reduction": call.option(6, "reduction", "mean"),
        "label_smoothing": call.option(7, "label_smoothing", 0.0),
    }
    yield from _counted(call, now)
    for changes in itertools.product(_weights(now), _ignored(now), _smoothed(now, x)):
        made = [change for change in changes if change]
        if made:
            options = {name: value for _, _, change in made for name, value in change.items()}
            yield Alternative(
                "+".join(cause for cause, _, _ in made),
                "; ".join(text for _, text, _ in made),
                lambda options=options: _computed(x, y, now | options),
            )


def _counted(call: FunctionCall, now: dict[str, Any]) -> Iterator[Alternative]:
    """Ignored targets counted where the mean is taken: the masked sum divided by all places."""
    y = call.option(1, "target")
    index = now["ignore_index"]
    if now["reduction"] == "mean" and not y.is_floating_point() and bool((y == index).any()):
        counted = int((y != index).sum())
        text = f"Flax divides by all {y.numel()} targets, PyTorch by the {counted} that are not ignored"
        yield Alternative("ignored-counted", text, lambda: call.result * (counted / y.numel()))


def _computed(x: torch.Tensor, y: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    plain = options.pop("plain", False)
    if not plain:
        return F.cross_entropy(x, y, **options)
    options["reduction"] = "none"
    each = F.cross_entropy(x, y, **options)
    return each[y != options["ignore_index"]].mean()


Change = tuple[str, str, dict[str, Any]]


def _weights(now: dict[str, Any]) -> Iterator[Change | None]:
    yield None
    if now["weight"] is not None:
        yield "class-weights", "Flax has no weights of the classes, PyTorch has", {"weight": None}
        if now["reduction"] == "mean":
            text = "Flax divides by the number of targets, PyTorch by the sum of their classes' weights"
            yield "class-weights", text, {"plain": True}


def _ignored(now: dict[str, Any]) -> Iterator[Change | None]:
    yield None
    for index in (-100, 0, -1):
        if index != now["ignore_index"]:
            text = f"Flax ignores target {index}" if index != -100 else "Flax ignores no target"
            yield "ignore-index", f"{text}, PyTorch {now['ignore_index']}", {"ignore_index": index}


def _smoothed(now: dict[str, Any], x: torch.Tensor) -> Iterator[Change | None]:
    yield None
    for value in SMOOTHINGS:
        if value != now["label_smoothing"]:
            text = f"Flax smooths the labels by {value:g}, PyTorch by {now['label_smoothing']:g}"
            yield "label-smoothing", text, {"label_smoothing": value}
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    smoothing = now["label_smoothing"]
    if smoothing and classes > 1:
        text = f"Flax shares the smoothing of {smoothing:g} among the other {classes - 1} classes, PyTorch among all"
        yield "label-smoothing", text, {"label_smoothing": smoothing * classes / (classes - 1)}


def options(call: FunctionCall) -> Iterator[Alternative]:
    """Other options of a loss: weights left out, another constant, another reduction."""
    for name in ("weight", "pos_weight"):
        if isinstance(call.kwargs.get(name), torch.Tensor):
            text = f"Flax has no {name}, PyTorch has"
            yield Alternative("class-weights", text, lambda name=name: call.again(**{name: None}))
    for name, default in (("delta", 1.0), ("beta", 1.0), ("margin", 1.0)):
        value = call.kwargs.get(name, default)
        if name in call.kwargs or (call.name, name) in CONSTANTS:
            for other in (1.0, 0.5, 0.1, 1 / 9, 2.0, 0.2, 0.25):
                text = f"Flax's {name} is {other:g}, PyTorch's {value:g}"
                yield Alternative(name, text, lambda name=name, other=other: call.again(**{name: other}))
    reduction = call.kwargs.get("reduction", "mean")
    for other in ("sum", "mean", "batchmean"):
        if other != reduction:
            text = f"Flax's reduction is {other}, PyTorch's {reduction}"
            yield Alternative("reduction", text, lambda other=other: call.again(reduction=other))


def ctc(call: FunctionCall) -> Iterator[Alternative]:
    """The mean of the sequences' losses, which PyTorch's mean divides by their targets' lengths first."""
    if call.kwargs.get("reduction", call.option(5, "reduction", 1)) in (1, "mean"):
        none = 0 if len(call.args) > 5 else "none"
        each = lambda: call.function(*call.args[:5], none, *call.args[6:]) if none == 0 else call.again(reduction=none)  # noqa: E731
        text = "Flax averages over the sequences, PyTorch divides each by the length of its targets first"
        yield Alternative("ctc-lengths", text, lambda: each().mean())
        yield Alternative("reduction", "Flax adds up the sequences, PyTorch averages", lambda: each().sum())


CONSTANTS = {("huber_loss", "delta"), ("smooth_l1_loss", "beta")}
OTHERS = (
    *("nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "huber_loss"),
    *("smooth_l1_loss", "kl_div", "margin_ranking_loss", "cosine_embedding_loss", "triplet_margin_loss"),
)
