"""Sums by which a gradient goes past what is rounded or looked up: left out, the numbers are the same without it."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "straight-through-missing"
TEXT = "Flax has no straight-through estimator: its gradient does not go past what is rounded, or looked up"


def missing(call: FunctionCall) -> Iterator[Alternative]:
    """Yields q for z + (q - z).detach(), q for q + z - z.detach(), and nothing for z - z.detach()."""
    first, second = (*call.args, None)[:2]
    for kept, other in ((first, second), (second, first)) if "add" in call.name else ((first, second),):
        stopped = call.behind(other)
        if not isinstance(kept, torch.Tensor) or stopped is None or stopped.name != "detach":
            continue
        made = call.behind(stopped.x)
        if "add" in call.name and made and made.name == "sub" and made.args[1] is kept:
            yield Alternative(CAUSE, TEXT, lambda q=made.x: q * 1)
        elif "sub" in call.name and stopped.x is kept:
            yield Alternative(CAUSE, TEXT, lambda kept=kept: torch.zeros_like(kept))
        elif "sub" in call.name:
            yield from _cancelled(call, kept, stopped.x)


def _cancelled(call: FunctionCall, total: torch.Tensor, z: torch.Tensor) -> Iterator[Alternative]:
    """Yields the other term of a sum whose one term is subtracted again."""
    made = call.behind(total)
    if made and made.name in ("add", "radd"):
        rest = [x for x in made.args[:2] if x is not z]
        if len(rest) == 1 and isinstance(rest[0], torch.Tensor):
            yield Alternative(CAUSE, TEXT, lambda: rest[0] * 1)
