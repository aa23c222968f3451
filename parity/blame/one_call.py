"""One call of one submodule of PyTorch's, while its model runs: what it is given, and what it returns."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from parity.arrays.layout import named_leaves


@contextmanager
def at_call(
    module: torch.nn.Module,
    number: int,
    given: Callable[[list[torch.Tensor]], None] = lambda tensors: None,
    returned: Callable[[Any], None] = lambda result: None,
) -> Iterator[None]:
    """Tells, within the block, of the call with that number, from 0.

    given:    hears the tensors among its arguments, in the order of `parity.layers.received`
    returned: hears its result
    """
    starts, ends = itertools.count(), itertools.count()

    def enter(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        if next(starts) == number:
            given([tensor for _, tensor in named_leaves((args, kwargs), "")])

    def leave(module: torch.nn.Module, args: tuple, result: Any) -> None:
        if next(ends) == number:
            returned(result)

    handles = [module.register_forward_pre_hook(enter, with_kwargs=True), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
