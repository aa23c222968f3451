"""Numbers that PyTorch's model draws and that change nothing, as where layers are left out with a probability of 0."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from d2l_jax.turns import Tensors
from parity.arrays.layout import named_leaves
from parity.models.random_numbers import RandomRequest
from parity.models.random_numbers_torch import ImposedOnTorch

ENDS = (2.0**-21, 1 - 2.0**-21)
MOST = 48  # such numbers, each of which asks for two runs


def told_idle(requests: list[RandomRequest], again: Callable[[], Tensors]) -> list[RandomRequest]:
    """Returns the requests; a single number is idle where results are the same at both ends of its range.

    That is asked with all others at either end, too: what one leaves out may hide another.

    again: runs the model once more, with weights none of which is 0
    """
    singles = [number for number, request in enumerate(requests) if _is_single(request)]
    if not singles or len(singles) > MOST:
        return requests
    plain = [_results(again, [end] * len(singles), len(requests)) for end in ENDS]
    idle = set()
    for place, number in enumerate(singles):
        ends = [[*[end] * place, other, *[end] * (len(singles) - place - 1)] for end, other in (ENDS, ENDS[::-1])]
        moved = [_results(again, each, len(requests)) for each in ends]
        if all(a is not None and b is not None and _equal(a, b) for a, b in zip(plain, moved, strict=True)):
            idle.add(number)
    return [replace(request, idle=number in idle) for number, request in enumerate(requests)]


def _results(again: Callable[[], Tensors], ends: Sequence[float], requests: int) -> Tensors | None:
    """Returns the results with these single numbers; None where other ones are drawn then."""
    with torch.no_grad(), _AtEnds(ends) as drawing:
        results = again()
    return results if len(drawing.seen) == requests else None


class _AtEnds(ImposedOnTorch):
    """Answers requests for a single uniform number with these, in turn."""

    def __init__(self, ends: Sequence[float]):
        super().__init__()
        self.left = list(ends)

    def answer(self, request: RandomRequest) -> np.ndarray:
        if _is_single(request) and self.left:
            return np.full(request.shape, self.left.pop(0))
        return super().answer(request)


def _is_single(request: RandomRequest) -> bool:
    return request.uniform and request.shape in ((), (1,))


def _equal(one: Tensors, other: Tensors) -> bool:
    pairs = zip(_tensors(one), _tensors(other), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _tensors(results: Tensors) -> Iterator[torch.Tensor]:
    for name, value in results.items():
        yield from (x for _, x in named_leaves(value, name))
