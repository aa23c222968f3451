"""Weights that add up to 1 with another: of two classes, of two examples that are mixed, of two losses."""

from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def complements(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a product by what a factor between 0 and 1 lacks to 1, at one call and at two alike."""
    divides = "div" in call.name
    for at, factor in enumerate(call.args[:2]):
        value = _number(factor)
        if value is None or not 0 < value < 1 or (divides and not at):
            continue
        args = [1 - factor if n == at else x for n, x in enumerate(call.args[:2])]
        text = f"Flax {'divides' if divides else 'multiplies'} by {1 - value:.6g}, PyTorch by {value:.6g}"
        yield Alternative("complement", f"{text}, what it lacks to 1", lambda args=args: call.again(*args))
        first, second = sorted((value, 1 - value))
        text = f"Flax exchanges the factors {first:.6g} and {second:.6g}: weights that add up to 1"
        yield Alternative("class-weights", text, lambda args=args: call.again(*args), paired=True)


def _number(factor: Any) -> float | None:
    """Returns a number, of a tensor too that is one."""
    if isinstance(factor, torch.Tensor):
        return float(factor.detach()) if factor.ndim == 0 and factor.is_floating_point() else None
    return float(factor) if isinstance(factor, float | int) else None
