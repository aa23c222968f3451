"""Losses by other formulas, each with every reduction."""

import math
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.losses.trial import AlteredLoss, Loss


def classification(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[AlteredLoss]:
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


def regression(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[AlteredLoss]:
    """Formulas for targets of the outputs' shape, each with every reduction."""
    if x.shape != y.shape and x.numel() == y.numel() and x.ndim + y.ndim > 2:
        text = "Flax broadcasts outputs and targets of different shapes against each other"
        yield "broadcast", text, lambda x, y: ((x.reshape(-1, 1) - y.reshape(1, -1)) ** 2).mean()
    if x.shape != y.shape:
        return
    y01 = bool(((y >= 0) & (y <= 1)).all())
    formulas: list[AlteredLoss] = [
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


def _reduced(formulas: list[AlteredLoss]) -> Iterator[AlteredLoss]:
    for name, text, terms in formulas:
        yield name, f"Flax computes {text} (mean)", lambda x, y, f=terms: f(x, y).mean()
        yield name, f"Flax computes {text} (sum)", lambda x, y, f=terms: f(x, y).sum()
        yield name, f"Flax computes half of {text} (mean)", lambda x, y, f=terms: f(x, y).mean() / 2
        yield name, f"Flax computes half of {text} (sum)", lambda x, y, f=terms: f(x, y).sum() / 2
        yield name, f"Flax computes {text} (sum per row of the batch)", lambda x, y, f=terms: f(x, y).sum() / len(x)
        yield name, f"Flax computes {text}, unreduced", terms
