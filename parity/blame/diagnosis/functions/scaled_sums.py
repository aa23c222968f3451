"""Sums that are scaled as a whole where PyTorch scales one of their terms, and the other way round."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

OF_TERM = "scale-of-term"
OVER_SUM = "scale-over-sum"
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
            yield Alternative(OF_TERM, text, lambda s=scaled, o=other, f=factor: s * f + o)


def of_term(call: FunctionCall) -> Iterator[Alternative]:
    """Yields (a + b) * s where PyTorch has a * s + b."""
    for term, other, which in ((*call.args[:2], "first"), (*call.args[1::-1], "second")):
        made = call.behind(term)
        if made is None or made.name not in PRODUCTS or not isinstance(other, torch.Tensor):
            continue
        for scaled, factor, what in ((*made.args[:2], "second"), (*made.args[1::-1], "first")):
            text = f"Flax multiplies a whole sum by the {what} factor of its {which} term, PyTorch that term alone"
            yield Alternative(OVER_SUM, text, lambda s=scaled, f=factor, o=other: (s + o) * f)
