"""Tables of waves that a model has made beforehand, each in its place altered alike."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.functions.waves import Waves, other_waves, waves_of

NEAR = 1e-5  # tables have the digits of float32
Named = dict[tuple[str, str], Waves]


class Replacing(TorchFunctionMode):
    """Within it, a function that is given one of the model's tables gets another."""

    def __init__(self, model: torch.nn.Module, tables: Named):
        super().__init__()
        self.model = model
        self.tables = tables
        self._others: dict[int, torch.Tensor] = {}

    @contextmanager
    def running(self) -> Iterator["Replacing"]:
        """Lets the model run within the block."""
        kept = []
        for (owner, name), waves in self.tables.items():
            table = getattr(self.model.get_submodule(owner), name)
            rows = waves.table(table.numel() // table.shape[-1]).reshape(table.shape)
            self._others[id(table)] = torch.as_tensor(rows).to(table)
            kept.append(table)
        with self:
            yield self

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        options: dict[str, Any] = tree_map(self._other, kwargs or {})
        return func(*tree_map(self._other, args), **options)

    def _other(self, value: Any) -> Any:
        return self._others.get(id(value), value) if isinstance(value, torch.Tensor) else value


def table_trials(
    model: torch.nn.Module,
    run: Callable[[Replacing], Sequence[np.ndarray]],
    oracle: Sequence[np.ndarray],
    flax: Sequence[np.ndarray],
) -> Iterator[tuple[str, str, Any, str]]:
    """Yields what the model computes with its tables of waves under another convention, to the digits of a table.

    run: computes under a mode, and returns the pieces that are compared
    """
    tables = _tables(model)
    gap = distance(oracle, flax, oracle)
    trials: dict[tuple[str, str], Named] = {}
    for place, waves in tables.items():
        for cause, text, other in other_waves(waves):
            trials.setdefault((cause, text), {})[place] = other
    for (cause, text), others in trials.items():
        try:
            pieces = run(Replacing(model, others))
        except UNFIT:
            continue
        if distance(pieces, flax, oracle) <= min(NEAR, 1e-3 * gap):
            names = ", ".join(".".join(filter(None, place)) for place in others)
            yield cause, f"{text} ({names})", flax, ""


def _tables(model: torch.nn.Module) -> Named:
    """Returns all tensors of waves that the model holds and does not train."""
    found: Named = {}
    for owner, module in model.named_modules():
        for name, value in {**module.__dict__, **module._buffers}.items():
            numbers = isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
            if numbers and (waves := waves_of(value)):
                found[owner, name] = waves
    return found
