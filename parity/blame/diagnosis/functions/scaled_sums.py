"""Sums that are scaled as a whole where PyTorch scales one of their terms, and the other way round."""

from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "scale-and-shift"
SUMS = ("add", "radd")
PRODUCTS = ("mul", "rmul")


def of_whole(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a * s + b, and a + b * s, where PyTorch has (a + b) * s."""
    for whole, factor in (call.args[:2], call.args[1::-1]):
        made = call.behind(whole)
        if made is None or made.name not in SUMS or not isinstance(factor, torch.Tensor):
            continue
        for scaled, other, which in (made.args[:2] + ("first",), made.args[1::-1] + ("second",)):
            text = f"Flax scales the {which} term of a sum alone, PyTorch the whole sum"
            yield Alternative(CAUSE, text, lambda s=scaled, o=other, f=factor: s * f + o)


def of_term(call: FunctionCall) -> Iterator[Alternative]:
    """Yields (a + b) * s where PyTorch has a * s + b."""
    for term, other in (call.args[:2], call.args[1::-1]):
        made = call.behind(term)
        if made is None or made.name not in PRODUCTS or not isinstance(other, torch.Tensor):
            continue
        for scaled, factor in _factors(made):
            text = "Flax scales the whole sum, PyTorch one of its terms alone"
            yield Alternative(CAUSE, text, lambda s=scaled, f=factor, o=other: (s + o) * f)


def _factors(product: FunctionCall) -> Iterator[tuple[Any, Any]]:
    """Yields the two factors, either as what is scaled; a number is no such."""
    first, second = product.args[:2]
    yield from ((x, by) for x, by in ((first, second), (second, first)) if isinstance(x, torch.Tensor))
