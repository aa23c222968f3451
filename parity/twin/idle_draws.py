"""Numbers that a model draws and that change nothing.

PyTorch's where layers are left out with a probability of 0; masks of either where dropout's result is thrown away.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax.turns import Tensors
from parity.arrays.layout import named_leaves
from parity.models.flax_model import FlaxModel
from parity.models.programs import needed
from parity.models.random_numbers import RandomRequest, imposed_on_jax, torch_shape
from parity.models.random_numbers_torch import ImposedOnTorch

ENDS = (2.0**-21, 1 - 2.0**-21)
MOST = 48  # such numbers, each of which asks for two runs

Requests = list[RandomRequest]
Asked = Callable[[RandomRequest], bool]


def is_single(request: RandomRequest) -> bool:
    """Tells whether it is for one number, by which a layer may be left out."""
    return request.uniform and request.shape in ((), (1,))


def is_dropout(request: RandomRequest) -> bool:
    """Tells whether it is for a mask, whose result may be thrown away."""
    return not request.uniform and not request.normal


def told_idle(requests: list[RandomRequest], again: Callable[[], Tensors], asked: Asked = is_single) -> Requests:
    """Returns the requests; one that is asked is idle where results are the same at both ends of its numbers' range.

    That is asked with all others at either end, too: what one leaves out may hide another.

    again: runs the model once more, with weights none of which is 0
    """
    numbers = [number for number, request in enumerate(requests) if asked(request)]
    if not numbers or len(numbers) > MOST:
        return requests
    at_ends = partial(_results, again, asked, len(requests))
    plain = [at_ends([end] * len(numbers)) for end in ENDS]
    idle = set()
    for place, number in enumerate(numbers):
        ends = [[*[end] * place, other, *[end] * (len(numbers) - place - 1)] for end, other in (ENDS, ENDS[::-1])]
        moved = map(at_ends, ends)
        if all(a is not None and b is not None and _equal(a, b) for a, b in zip(plain, moved, strict=True)):
            idle.add(number)
    return [replace(request, idle=request.idle or number in idle) for number, request in enumerate(requests)]


def told_idle_in_flax(
    model: FlaxModel, functions: Sequence[Callable], requests: Requests, *held: Any, train: bool
) -> Requests:
    """Returns Flax's requests; a mask is idle where neither results nor buffers depend on it.

    functions: of the model and tensors, which make the requests
    held:      the model's parameters and buffers, and the tensors
    """

    def run(values: list[jax.Array], *args: Any) -> list[jax.Array]:
        with imposed_on_jax(values):
            results = [model.run(function, *args, train=train) for function in functions]
        return [x for x in jax.tree.leaves(results) if hasattr(x, "dtype")]

    values = [jnp.zeros(torch_shape(request.shape)) for request in requests]
    program = jax.make_jaxpr(run)(values, *held).jaxpr
    used = needed(program, [True] * len(program.outvars))[: len(values)]
    return [replace(x, idle=is_dropout(x) and not needs) for x, needs in zip(requests, used, strict=True)]


def _results(
    again: Callable[[], Tensors], asked: Asked, requests: int, ends: Sequence[float]
) -> list[torch.Tensor] | None:
    """Returns the results with these numbers where they are asked; None where others are drawn then."""
    with torch.no_grad(), _AtEnds(asked, ends) as drawing:
        results = again()
    return list(_tensors(results)) if len(drawing.seen) == requests else None


class _AtEnds(ImposedOnTorch):
    """Answers requests that are asked with these numbers, in turn."""

    def __init__(self, asked: Asked, ends: Sequence[float]):
        super().__init__()
        self.asked = asked
        self.left = list(ends)

    def answer(self, request: RandomRequest) -> np.ndarray:
        if self.asked(request) and self.left:
            return np.full(request.shape, self.left.pop(0))
        return super().answer(request)


def _equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _tensors(results: Tensors) -> Iterator[torch.Tensor]:
    for name, value in results.items():
        yield from (x for _, x in named_leaves(value, name))
