"""Labels that are smoothed by hand: what the true class loses is shared among all classes, or among the others."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "label-smoothing"
NEAR = 1e-6


def by_hand(call: FunctionCall) -> Iterator[Alternative]:
    """Yields y (1 - s) + s / n with another share of every class."""
    product, share = (*call.args, None)[:2]
    made = call.behind(product) if isinstance(share, float) else None
    if made is None or made.name not in ("mul", "rmul") or not isinstance(share, float):
        return
    for y, kept in (made.args[:2], made.args[1::-1]):
        if not isinstance(y, torch.Tensor) or not isinstance(kept, float) or not 0 < kept < 1:
            continue
        classes = y.shape[-1] if y.ndim else 0
        if classes < 2 or not bool(((y == 0) | (y == 1)).all()) or not bool((y.sum(-1) == 1).all()):
            continue
        lost = 1 - kept
        for among, words in ((classes, "all"), (classes - 1, "the other")):
            if abs(share - lost / among) <= NEAR * share:
                yield from _shared(y, lost, classes, words == "all")


def _shared(y: torch.Tensor, lost: float, classes: int, among_all: bool) -> Iterator[Alternative]:
    others = f"the other {classes - 1} classes"
    now, other = (f"all {classes}", others) if among_all else (others, f"all {classes}")
    text = f"Flax shares the smoothing of {lost:g} among {other}, PyTorch among {now}"
    right = lambda: y * (1 - lost) + (1 - y) * lost / (classes - 1)  # noqa: E731
    yield Alternative(CAUSE, text, right if among_all else lambda: y * (1 - lost) + lost / classes)
    if not among_all:
        text = f"Flax shares the smoothing of {lost:g} among {others} alone, PyTorch gives the true class a part, too"
        yield Alternative(CAUSE, text, right)
    yield Alternative(CAUSE, "Flax does not smooth the labels, PyTorch does", lambda: y * 1)
