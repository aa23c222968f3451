"""A square parameter that a body uses itself, transposed wherever it is used."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map

from parity.blame.diagnosis.calls import UNFIT


class Transposing(TorchFunctionMode):
    """Within it, a function that is given the parameter gets its transpose."""

    def __init__(self, model: torch.nn.Module, name: str):
        super().__init__()
        self.model = model
        self.name = name
        self._parameter: torch.Tensor | None = None

    @contextmanager
    def running(self) -> Iterator["Transposing"]:
        """Lets the model run within the block."""
        self._parameter = self.model.get_parameter(self.name)
        with self:
            yield self

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        options: dict[str, Any] = tree_map(self._turned, kwargs or {})
        return func(*tree_map(self._turned, args), **options)

    def _turned(self, value: Any) -> Any:
        if value is not self._parameter:
            return value
        with _disable_current_modes():
            return value.transpose(0, 1)


def transposed_trials(
    model: torch.nn.Module, right: Collection[str], run: Callable[[Transposing], Any]
) -> Iterator[tuple[str, str, Any, str]]:
    """Yields what the model computes with a square parameter transposed, those of PyTorch's layers left alone.

    run: computes under a mode, and returns the pieces that are compared
    """
    for name, parameter in model.named_parameters():
        owner, _, last = name.rpartition(".")
        stock = type(model.get_submodule(owner)).__module__.startswith("torch.nn.")
        inside = any(owner == other or owner.startswith(f"{other}.") for other in right if owner)
        if stock or inside or parameter.ndim != 2 or parameter.shape[0] != parameter.shape[1] or len(parameter) < 2:
            continue
        try:
            pieces = run(Transposing(model, name))
        except UNFIT:
            continue
        yield "transposed", f"Flax uses {name} transposed", pieces, owner
