"""Minus signs and fractions that are left out."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def negatives(call: FunctionCall) -> Iterator[Alternative]:
    yield Alternative("sign", "Flax leaves out a minus sign", lambda: -call.result)


def floors(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a division that keeps the fraction, or that leaves it out."""
    first, second = call.args[:2]
    if call.kwargs.get("rounding_mode") or "floor" in call.name:
        text = "Flax divides (/), PyTorch leaves the fraction out (//)"
        yield Alternative("division-floored", text, lambda: torch.true_divide(first, second))
    elif bool((call.result != call.result.floor()).any()):
        text = "Flax leaves the fraction of a division out (//), PyTorch divides (/)"
        yield Alternative("division-floored", text, lambda: call.result.floor())
