"""Sums that are scaled as a whole where PyTorch scales one of their terms, and the other way round.

And terms that are added before a product of matrices, as a bias before an aggregation over neighbours.
"""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

OF_TERM = "scale-of-term"
OVER_SUM = "scale-over-sum"
SUMS = ("add", "radd")
PRODUCTS = ("mul", "rmul")
MATRICES = ("matmul", "mm", "bmm", "spmm", "sparse_mm")


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


def before_product(call: FunctionCall) -> Iterator[Alternative]:
    """Yields A @ (x + b) where PyTorch has A @ x + b."""
    for term, other, which in ((*call.args[:2], "second"), (*call.args[1::-1], "first")):
        made = call.behind(term)
        if made is None or made.name not in MATRICES or not isinstance(other, torch.Tensor):
            continue
        matrix, x = made.args[:2]
        if torch.broadcast_shapes(x.shape, other.shape) == x.shape:
            text = f"Flax adds the {which} term of a sum before a product of matrices, PyTorch behind it"
            yield Alternative("added-before", text, lambda m=matrix, x=x, o=other, again=made.again: again(m, x + o))
