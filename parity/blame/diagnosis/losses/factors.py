"""PyTorch's value and gradient times a factor, or plus a summand: another reduction, a penalty on one side."""

from collections.abc import Iterator

import numpy as np
import torch

from parity.blame.diagnosis.factors import telling
from parity.blame.diagnosis.losses.trial import Explanation, Loss


def scaled(
    loss: Loss, x: torch.Tensor, y: torch.Tensor, oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[Explanation]:
    """Scales value and gradient by the same factor, as another reduction does."""
    yield from ((name, text, [factor * piece for piece in oracle]) for name, text, factor in _reductions(loss, x, y))


def _reductions(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[str, str, float]]:
    labels = y.numel() if not y.is_floating_point() else 0
    ignored = int((y == getattr(loss, "ignore_index", -100)).sum()) if labels else 0
    yield "sign", "Flax's loss has the opposite sign", -1.0
    yield "half", "Flax has a factor 1/2 that PyTorch lacks", 0.5
    yield "double", "Flax lacks a factor 1/2 that PyTorch has", 2.0
    if labels > ignored > 0:
        counted = labels - ignored
        text = f"Flax divides by all {labels} targets, PyTorch by the {counted} that are not ignored"
        yield "ignored-counted", text, counted / labels
        yield "ignored-counted", f"Flax divides by the {counted} targets that are not ignored", labels / counted
        yield "sum", f"Flax sums, PyTorch averages over {counted} targets that are not ignored", float(counted)
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


def one_factor(oracle: list[np.ndarray], flax: list[np.ndarray], shape: tuple[int, ...]) -> Iterator[Explanation]:
    """Tries a single factor of value and gradient; of a single number, only one with a reason."""
    ours, theirs = (np.concatenate([piece.ravel() for piece in pieces]) for pieces in (oracle, flax))
    if ours.shape != theirs.shape or not ours.any():
        return
    factor = float(np.vdot(ours, theirs) / np.vdot(ours, ours))
    known = telling(factor, shape) if factor else None
    if known or (factor and ours.size >= 3):
        name, why, factor = known or ("scale", "for value and gradient alike", factor)
        yield name, f"Flax's loss is {factor:.8g} times PyTorch's: {why}", [factor * piece for piece in oracle]


def constant(oracle: list[np.ndarray], flax: list[np.ndarray]) -> Iterator[Explanation]:
    """Tries a summand that does not depend on the outputs, such as a penalty: the gradient is the same."""
    gradients = oracle[1:]
    if oracle[0].shape == flax[0].shape == () and sum(map(np.count_nonzero, gradients)) >= 2:
        text = f"Flax's value is PyTorch's {float(flax[0] - oracle[0]):+.8g}, its gradient the same: a term on one side"
        yield "constant-term", text, [flax[0], *gradients]
