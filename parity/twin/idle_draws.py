"""Numbers that PyTorch's model draws and that change nothing, as where layers are left out with a probability of 0."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from d2l_jax.turns import Tensors
from parity.arrays.layout import named_leaves
from parity.models.random_numbers import RandomRequest
from parity.models.random_numbers_torch import ImposedOnTorch

ENDS = (2.0**-21, 1 - 2.0**-21)


def told_idle(requests: list[RandomRequest], results: Tensors, again: Callable[[], Tensors]) -> list[RandomRequest]:
    """Returns the requests; for single numbers they are idle where the results are the same at both ends of the range.

    again: runs the model once more
    """
    if not any(map(_is_single, requests)):
        return requests
    for end in ENDS:
        with torch.no_grad(), _AtAnEnd(end) as drawing:
            others = again()
        if len(drawing.seen) != len(requests) or not _equal(results, others):
            return requests
    return [replace(request, idle=_is_single(request)) for request in requests]


class _AtAnEnd(ImposedOnTorch):
    """Answers requests for a single uniform number with one end of its range."""

    def __init__(self, end: float):
        super().__init__()
        self.end = end

    def answer(self, request: RandomRequest) -> np.ndarray:
        return np.full((), self.end) if _is_single(request) else super().answer(request)


def _is_single(request: RandomRequest) -> bool:
    return request.uniform and request.shape == ()


def _equal(one: Tensors, other: Tensors) -> bool:
    pairs = zip(_tensors(one), _tensors(other), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _tensors(results: Tensors) -> Iterator[torch.Tensor]:
    for name, value in results.items():
        yield from (x for _, x in named_leaves(value, name))
