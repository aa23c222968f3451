"""A function that PyTorch computes before a layer, and Flax behind it."""

import itertools
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from parity.blame.diagnosis.functions.hooked import hooked


class Moved(TorchFunctionMode):
    """Within it, the function that gives what a submodule is given is computed of what the submodule returns.

    name, number: of the submodule, and which of its calls it is, from 0
    ordinal:      which function it is, of all that keep a tensor's shape; None notes which it is, and moves nothing
    words:        its name, once it is known
    """

    def __init__(self, model: torch.nn.Module, name: str, number: int, ordinal: int | None = None):
        super().__init__()
        self.model = model
        self.name = name
        self.number = number
        self.ordinal = ordinal
        self.words = ""
        self.moved: int | None = None
        self._seen = itertools.count()
        self._starts, self._ends = itertools.count(), itertools.count()
        self._made: dict[int, tuple[int, str, torch.Tensor]] = {}
        self._function: Any = lambda x: x

    def running(self) -> AbstractContextManager["Moved"]:
        """Lets the model run within the block."""
        module = self.model.get_submodule(self.name)
        handles = module.register_forward_pre_hook(self._enter), module.register_forward_hook(self._leave)
        return hooked(self, handles)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        x = args[0] if args else None
        if not isinstance(result, torch.Tensor) or not isinstance(x, torch.Tensor) or result.shape != x.shape:
            return result
        ordinal = next(self._seen)
        if ordinal == self.ordinal:
            self._function = lambda y: func(y, *args[1:], **(kwargs or {}))
            return x * 1
        self._made[id(result)] = ordinal, getattr(func, "__name__", "").strip("_"), result  # whose id it keeps
        return result

    def _enter(self, module: torch.nn.Module, args: tuple) -> None:
        if next(self._starts) == self.number and len(args) == 1 and self.ordinal is None:
            self.moved, self.words, _ = self._made.get(id(args[0]), (None, "", None))

    def _leave(self, module: torch.nn.Module, args: tuple, result: Any) -> Any:
        here = next(self._ends) == self.number and self.ordinal is not None
        return self._function(result) if here and isinstance(result, torch.Tensor) else None
