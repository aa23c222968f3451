"""A layer that is right, behind which Flax computes one function more."""

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.calls import UNFIT

MOST_RUNS = 160
Function = Callable[[torch.Tensor], torch.Tensor]
MORE: dict[str, Function] = {
    "ReLU": torch.relu,
    "SiLU": F.silu,
    "GELU": F.gelu,
    "GELU by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "the hyperbolic tangent": torch.tanh,
    "the sigmoid": torch.sigmoid,
    "ELU": F.elu,
    "softplus": F.softplus,
    "the softmax over the last axis": lambda x: x.softmax(-1),
    "the exponential": torch.exp,
}


class Following:
    """Within it, a submodule returns a function of what it does."""

    def __init__(self, model: torch.nn.Module, name: str, function: Function):
        self.model = model
        self.name = name
        self.function = function

    @contextmanager
    def running(self) -> Iterator["Following"]:
        """Lets the model run within the block."""
        hook = lambda module, args, output: self.function(output)  # noqa: E731
        handle = self.model.get_submodule(self.name).register_forward_hook(hook)
        try:
            yield self
        finally:
            handle.remove()


def following_trials(
    model: torch.nn.Module, right: Collection[str], run: Callable[[Following], Any]
) -> Iterator[tuple[str, str, Any, str]]:
    """Yields what the model computes with an activation more behind a layer that is right.

    run: computes under a mode, and returns the pieces that are compared
    """
    trials = itertools.product((name for name in right if name), MORE.items())
    for name, (what, function) in itertools.islice(trials, MOST_RUNS):
        try:
            pieces = run(Following(model, name, function))
        except UNFIT:
            continue
        yield "activation-added", f"Flax computes {what} of what {name} returns, PyTorch nothing", pieces, ""
