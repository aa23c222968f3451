"""Why a loss differs: PyTorch's loss with one convention altered, or another formula, until it gives Flax's numbers."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from d2l_jax.errors import InputError
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.factors import telling
from parity.blame.diagnosis.tensors import explain_tensor
from parity.blame.diagnosis.threads import one_thread

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Altered = tuple[str, str, Loss]
# What a formula may raise where it does not fit outputs and targets.
UNFIT = (RuntimeError, ValueError, TypeError, IndexError)


@one_thread()
def explain_loss(
    loss: Loss,
    outputs: np.ndarray,
    targets: np.ndarray,
    flax_loss: float | np.ndarray,
    flax_grad: np.ndarray | None = None,
    noise: float = NOISE,
) -> Cause | None:
    """The one convention under which PyTorch's loss gives Flax's value and its gradient of the outputs.

    loss:      a function of (outputs, targets), or a module of `torch.nn`
    outputs:   float64, in PyTorch's layout; targets: class indices, or floating
    flax_grad: the gradient of Flax's loss with respect to `outputs`; None compares the value alone

    Returns None where they agree, and where no hypothesis explains the difference. Raises InputError where the
    gradient has another shape than the outputs.
    """
    if flax_grad is not None and flax_grad.shape != outputs.shape:
        raise InputError(f"the gradient has shape {flax_grad.shape}, the outputs {outputs.shape}; give one for each")
    x = torch.tensor(outputs, dtype=torch.float64)
    y = torch.as_tensor(np.array(targets))
    y = y.double() if y.is_floating_point() else y
    flax = [np.asarray(flax_loss, np.float64)] + ([] if flax_grad is None else [np.asarray(flax_grad, np.float64)])
    oracle = _evaluated(loss, x, y)[: len(flax)]
    if agree(oracle, flax, noise):
        return None
    found = choose(oracle, flax, _candidates(loss, x, y, oracle, flax), noise)
    return found or _by_numbers(oracle, flax, noise)


def _evaluated(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> list[np.ndarray]:
    """Value and gradient; of several values, the gradient of their sum."""
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        value = loss(x, y)
        (gradient,) = torch.autograd.grad(value.sum(), x, allow_unused=True, materialize_grads=True)
    return [value.detach().numpy(), gradient.numpy()]


def _candidates(
    loss: Loss, x: torch.Tensor, y: torch.Tensor, oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    yield from _scaled(loss, x, y, oracle, flax)
    for hypothesis in HYPOTHESES:
        for name, text, altered in hypothesis(loss, x, y):
            try:
                yield name, text, _evaluated(altered, x, y)[: len(flax)]
            except UNFIT:
                continue
    yield from _one_factor(oracle, flax, tuple(x.shape))
    yield from _constant(oracle, flax)


def _scaled(
    loss: Loss, x: torch.Tensor, y: torch.Tensor, oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Another reduction: the same factor for value and gradient."""
    yield from ((name, text, [factor * piece for piece in oracle]) for name, text, factor in _reductions(loss, x, y))


def _reductions(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[str, str, float]]:
    labels = y.numel() if not y.is_floating_point() else 0
    ignored = int((y == getattr(loss, "ignore_index", -100)).sum()) if labels else 0
    yield "sign", "Flax's loss has the opposite sign", -1.0
    yield "half", "Flax has a factor 1/2 that PyTorch lacks", 0.5
    yield "double", "Flax lacks a factor 1/2 that PyTorch has", 2.0
    if labels > ignored > 0:
        kept = labels - ignored
        text = f"Flax divides by all {labels} targets, PyTorch by the {kept} that are not ignored"
        yield "ignored-counted", text, kept / labels
        yield "ignored-counted", f"Flax divides by the {kept} targets that are not ignored", labels / kept
        yield "sum", f"Flax sums, PyTorch averages over {kept} targets that are not ignored", float(kept)
    rows = x.shape[0] if x.ndim else 1
    every = x.numel()
    counts = {
        "sum": (labels or every, "entries"),
        "per-row": (every // rows if not labels else labels // rows, "entries of a row"),
        "rows": (rows, "rows"),
        "all-entries": (every, "outputs"),
        "classes": (x.shape[1] if x.ndim > 1 else 1, "classes"),
    }
    for name, (count, what) in counts.items():
        if count > 1:
            yield name, f"Flax sums over the {count} {what}, PyTorch averages", float(count)
            yield f"{name}-mean", f"Flax averages over the {count} {what}, PyTorch sums", 1 / count


def options(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[Altered]:
    """Other options of a module: reduction, ignored index, smoothing, weights, beta."""
    if not isinstance(loss, nn.Module):
        return
    own = vars(loss)
    if own.get("label_smoothing") is not None:
        for value in (0.0, 0.1, 0.05, 0.2, 0.01):
            text = f"Flax smooths the labels by {value:g}, PyTorch by {own['label_smoothing']:g}"
            yield "label-smoothing", text, _changed(loss, label_smoothing=value)
    if own.get("ignore_index") is not None:
        for value in (-100, 0, -1, 255, 1):
            text = f"Flax ignores target {value}, PyTorch {own['ignore_index']}"
            yield "ignore-index", text, _changed(loss, ignore_index=value)
    if getattr(loss, "weight", None) is not None:
        text = "Flax has no weights of the classes"
        yield "class-weights", text, _changed(loss, weight=None)
    if getattr(loss, "pos_weight", None) is not None:
        yield "class-weights", "Flax has no pos_weight", _changed(loss, pos_weight=None)
    for option in ("beta", "delta", "margin"):
        for value in (1.0, 0.5, 0.1, 1 / 9, 2.0) if option in own else ():
            yield option, f"Flax's {option} is {value:g}, PyTorch's {own[option]:g}", _changed(loss, **{option: value})
    if own.get("reduction") is not None:
        for value in ("sum", "mean", "none", "batchmean"):
            text = f"Flax's reduction is {value}, PyTorch's {own['reduction']}"
            yield "reduction", text, _changed(loss, reduction=value)


def _changed(loss: nn.Module, **attributes: Any) -> Loss:
    twin = copy.deepcopy(loss).double()
    for name, value in attributes.items():
        setattr(twin, name, value)
    return twin


def inputs(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[Altered]:
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


def classification(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[Altered]:
    """Formulas for class indices, each with every reduction."""
    if y.is_floating_point() or x.ndim < 2:
        return
    ignored = getattr(loss, "ignore_index", -100)

    def picked(logs: Callable[[torch.Tensor], torch.Tensor]) -> Loss:
        return lambda x, y: -logs(x).gather(1, y.clamp(min=0)[:, None])[:, 0][y != ignored]

    formulas = [
        ("cross-entropy", "the cross-entropy of logits", picked(lambda x: F.log_softmax(x, 1))),
        ("softmax-missing", "the log-likelihood of outputs as log-probabilities, no softmax", picked(lambda x: x)),
        ("softmax-missing", "minus the logarithm of the outputs, no softmax", picked(torch.log)),
        ("log-missing", "minus the probability, no logarithm", picked(lambda x: F.softmax(x, 1))),
        ("softmax-twice", "the softmax twice", picked(lambda x: F.log_softmax(F.softmax(x, 1), 1))),
        ("log-base", "logarithms to base 2", picked(lambda x: F.log_softmax(x, 1) / math.log(2))),
        ("sigmoid-for-softmax", "the sigmoid of each class, no softmax", picked(F.logsigmoid)),
        ("softmax-axis", "the softmax over the batch", picked(lambda x: F.log_softmax(x, 0))),
    ]
    for smoothing in (0.1, 0.05, 0.2):
        text = f"labels smoothed by {smoothing:g}"
        formulas.append(
            (
                "label-smoothing",
                text,
                lambda x, y, s=smoothing: F.cross_entropy(x, y, label_smoothing=s, reduction="none"),
            )
        )
    floors = ((1e-8, "1e-8"), (1e-7, "1e-7"), (1e-6, "1e-6"), (1e-12, "1e-12"), (1e-5, "1e-5"))
    for floor, shown in floors:
        text = f"log(softmax + {shown})"
        formulas.append(("log-eps", text, picked(lambda x, floor=floor: torch.log(F.softmax(x, 1) + floor))))
    yield from _reduced(formulas)


def regression(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[Altered]:
    """Formulas for targets of the outputs' shape, each with every reduction."""
    if x.shape != y.shape and x.numel() == y.numel() and x.ndim + y.ndim > 2:
        text = "Flax broadcasts outputs and targets of different shapes against each other"
        yield "broadcast", text, lambda x, y: ((x.reshape(-1, 1) - y.reshape(1, -1)) ** 2).mean()
    if x.shape != y.shape:
        return
    y01 = bool(((y >= 0) & (y <= 1)).all())
    formulas: list[Altered] = [
        ("squared", "squares", lambda x, y: (x - y) ** 2),
        ("absolute", "absolute values", lambda x, y: (x - y).abs()),
        ("root", "the logarithms' squares", lambda x, y: (torch.log(x) - torch.log(y)) ** 2),
        ("log-cosh", "log cosh", lambda x, y: torch.log(torch.cosh(x - y))),
    ]
    for beta in (1.0, 0.5, 0.1, 1 / 9, 2.0):
        formulas.append(
            ("huber", f"Huber's loss, {beta:g}", lambda x, y, b=beta: F.huber_loss(x, y, reduction="none", delta=b))
        )
        formulas.append(
            (
                "smooth-l1",
                f"smooth L1, beta {beta:g}",
                lambda x, y, b=beta: F.smooth_l1_loss(x, y, reduction="none", beta=b),
            )
        )
    if y01:
        logits = F.binary_cross_entropy_with_logits
        plain = F.binary_cross_entropy
        formulas.append(("logits", "binary cross-entropy of logits", lambda x, y: logits(x, y, reduction="none")))
        formulas.append(
            ("sigmoid-missing", "binary cross-entropy of probabilities", lambda x, y: plain(x, y, reduction="none"))
        )
    formulas.append(("kl-order", "KL(outputs || targets)", lambda x, y: x.exp() * (x - torch.log(y))))
    formulas.append(("kl-order", "KL(targets || outputs)", lambda x, y: y * (torch.log(y) - x)))
    yield from _reduced(formulas)
    yield "root", "Flax takes the root of the mean square", lambda x, y: ((x - y) ** 2).mean().sqrt()


def _reduced(formulas: list[Altered]) -> Iterator[Altered]:
    for name, text, terms in formulas:
        yield name, f"Flax computes {text} (mean)", lambda x, y, f=terms: f(x, y).mean()
        yield name, f"Flax computes {text} (sum)", lambda x, y, f=terms: f(x, y).sum()
        yield name, f"Flax computes half of {text} (mean)", lambda x, y, f=terms: f(x, y).mean() / 2
        yield name, f"Flax computes half of {text} (sum)", lambda x, y, f=terms: f(x, y).sum() / 2
        yield name, f"Flax computes {text} (sum per row of the batch)", lambda x, y, f=terms: f(x, y).sum() / len(x)
        yield name, f"Flax computes {text}, unreduced", terms


def _one_factor(
    oracle: list[np.ndarray], flax: list[np.ndarray], shape: tuple[int, ...]
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Any one factor of value and gradient; of a single number, only one with a reason."""
    ours, theirs = (np.concatenate([piece.ravel() for piece in pieces]) for pieces in (oracle, flax))
    if ours.shape != theirs.shape or not ours.any():
        return
    factor = float(np.vdot(ours, theirs) / np.vdot(ours, ours))
    known = telling(factor, shape) if factor else None
    if known or (factor and ours.size >= 3):
        name, why, factor = known or ("scale", "for value and gradient alike", factor)
        yield name, f"Flax's loss is {factor:.8g} times PyTorch's: {why}", [factor * piece for piece in oracle]


def _constant(oracle: list[np.ndarray], flax: list[np.ndarray]) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """The same gradient and another value: a summand that does not depend on the outputs, such as a penalty."""
    if len(oracle) == 2 and oracle[0].shape == flax[0].shape == () and np.count_nonzero(oracle[1]) >= 2:
        text = f"Flax's value is {float(flax[0] - oracle[0]):+.8g}, its gradient the same: a penalty on one side"
        yield "constant-term", text, [flax[0], oracle[1]]


def _by_numbers(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """The gradient alone: the value may agree while the gradient does not."""
    if distance(oracle[:1], flax[:1], oracle[:1]) <= 100 * noise and len(flax) == 2:
        return explain_tensor(oracle[1], flax[1], noise)
    return None


HYPOTHESES: list[Callable[[Loss, torch.Tensor, torch.Tensor], Iterator[Altered]]] = [
    options,
    inputs,
    classification,
    regression,
]
