"""Losses of two classes that push to the one: minus the loss of the other class, as a generator's that saturates."""

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "saturating-loss"
TEXT = (
    "Flax has minus the loss of the other class, log(1 - p), which saturates; PyTorch -log(p), or the other way round"
)


def of_scores(call: FunctionCall) -> Iterator[Alternative]:
    """Yields log(1 - p), or its opposite, of scores: softplus(-x) is -log(p)."""
    if not call.elementwise:
        return
    if call.name == "softplus" and call.option(1, "beta", 1) == 1:
        yield Alternative(CAUSE, TEXT, lambda: -F.softplus(-call.x))
    if call.name in ("logsigmoid", "log_sigmoid"):
        yield Alternative(CAUSE, TEXT, lambda: -F.logsigmoid(-call.x))


def of_shares(call: FunctionCall) -> Iterator[Alternative]:
    """Yields -log(1 - p) for log(p), where p is known to be a share."""
    made = call.behind(call.x)
    p = call.x
    if call.elementwise and (made and made.name == "sigmoid" or bool(((p > 0) & (p < 1)).all())):
        yield Alternative(CAUSE, TEXT, lambda: -torch.log(1 - p))


def of_targets(call: FunctionCall) -> Iterator[Alternative]:
    """Yields minus the binary cross-entropy of the opposite targets."""
    y = call.option(1, "target")
    if isinstance(y, torch.Tensor) and bool(((y == 0) | (y == 1)).all()):
        rest = {name: value for name, value in call.kwargs.items() if name not in ("input", "target")}
        yield Alternative(CAUSE, TEXT, lambda: -call.function(call.x, 1 - y, *call.args[2:], **rest))
