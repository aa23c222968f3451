"""Sums of several terms of which Flax keeps some, and sums of what is not masked of which it takes the mean."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

SECOND_SIGN = {"add": 1, "sub": -1}
MOST_TERMS = 4
ORDINALS = ("first", "second", "third", "fourth")


def subsets(call: FunctionCall) -> Iterator[Alternative]:
    """Yields what some terms of three or more give, as -d of exp(d) - d - 1; the fewest left out first."""
    terms = list(_terms(call, 1))
    if not 3 <= len(terms) <= MOST_TERMS:
        return
    for size in range(len(terms) - 1, 0, -1):
        for kept in itertools.combinations(range(len(terms)), size):
            words = " and ".join(ORDINALS[n] for n in kept)
            text = f"Flax keeps the {words} alone of a sum's {len(terms)} terms"
            few = [terms[n] for n in kept]
            yield Alternative("term-missing", text, lambda few=few: _sum(few, call.result))


def masked(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the mean of what a mask leaves, in place of its sum."""
    made = call.behind(call.x)
    axis = call.option(1, "dim")
    if axis is None or not made or made.name != "mul":
        return
    for mask in made.args[:2]:
        if isinstance(mask, torch.Tensor) and bool(((mask == 0) | (mask == 1)).all()):
            counts = mask.to(call.x.dtype).expand_as(call.x).sum(axis, bool(call.option(2, "keepdim", False)))
            text = f"Flax takes the mean of what is not masked along {axis}, PyTorch the sum"
            yield Alternative("mean-for-sum", text, lambda counts=counts: call.result / counts.clamp(min=1))


def _terms(call: FunctionCall, sign: int) -> Iterator[tuple[int, Any]]:
    """Yields the terms, each with its sign, those of sums of which it is the sum, too."""
    for term, of_term in zip(call.args[:2], (sign, sign * SECOND_SIGN[call.name])):
        made = call.behind(term) if isinstance(term, torch.Tensor) else None
        if made and made.name in SECOND_SIGN and not made.kwargs and len(made.args) == 2:
            yield from _terms(made, of_term)
        else:
            yield of_term, term


def _sum(terms: list[tuple[int, Any]], like: torch.Tensor) -> torch.Tensor:
    return sum((sign * term for sign, term in terms), torch.zeros_like(like))
