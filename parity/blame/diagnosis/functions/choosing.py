"""The largest numbers of a tensor, as gates choose experts, normalised before or after they are chosen."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions import masks
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "gates-normalised"


def softmax_before(call: FunctionCall) -> Iterator[Alternative]:
    """Takes the softmax of all numbers, of which the largest are chosen afterwards and do not add to 1."""
    yield from _masked_later(call)
    top = call.last("topk")
    if top is None or call.x is not top.result[0]:
        return
    axis = call.option(1, "dim", -1)
    text = "Flax takes the softmax of all numbers, then the largest; PyTorch of the largest alone, which add to 1"
    yield Alternative(CAUSE, text, lambda: top.x.softmax(axis).gather(top.option(2, "dim", -1), top.result[1]))


def _masked_later(call: FunctionCall) -> Iterator[Alternative]:
    """Masks what the softmax gives, which then does not add to 1."""
    if masked := masks.hidden(call.behind(call.x)):
        scores, seen = masked
        text = "Flax masks behind the softmax: what is left does not add to 1"
        yield Alternative("mask-behind-softmax", text, lambda: call.again(scores) * seen)


def renormalised(call: FunctionCall) -> Iterator[Alternative]:
    """Divides the chosen numbers by their sum."""
    values, indices = call.result
    axis = call.option(2, "dim", -1)
    if values.is_floating_point() and bool((values > 0).all()):
        text = "Flax divides the largest numbers by their sum, PyTorch does not: probabilities that add to 1"
        divided = values / values.sum(axis, keepdim=True)
        yield Alternative(CAUSE, text, lambda: torch.return_types.topk((divided, indices)))
