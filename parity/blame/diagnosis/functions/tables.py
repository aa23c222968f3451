"""Tables of waves and of frequencies that a model has made beforehand, each in its place altered alike."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.functions.spacings import other_spacings
from parity.blame.diagnosis.functions.waves import other_waves, waves_of

NEAR = 1e-5  # tables have the digits of float32
Named = dict[tuple[str, str], np.ndarray]  # {(a submodule, its attribute): a table}


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
        for (owner, name), other in self.tables.items():
            table = getattr(self.model.get_submodule(owner), name)
            self._others[id(table)] = torch.as_tensor(np.array(other)).reshape(table.shape).to(table)
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
    """Yields what the model computes with its tables under another convention, to the digits of a table.

    run: computes under a mode, and returns the pieces that are compared
    """
    gap = distance(oracle, flax, oracle)
    trials: dict[tuple[str, str], Named] = {}
    for place, table in tables_of(model).items():
        for cause, text, other in _others(table):
            trials.setdefault((cause, text), {})[place] = other
    for (cause, text), others in trials.items():
        try:
            pieces = run(Replacing(model, others))
        except UNFIT:
            continue
        if distance(pieces, flax, oracle) <= min(NEAR, 1e-3 * gap):
            names = ", ".join(".".join(filter(None, place)) for place in others)
            yield cause, f"{text} ({names})", flax, ""


def _others(table: torch.Tensor) -> Iterator[tuple[str, str, np.ndarray]]:
    waves = waves_of(table)
    for cause, text, other in other_waves(waves) if waves else ():
        yield cause, text, other.table(table.numel() // table.shape[-1])
    if table.is_floating_point():
        yield from other_spacings(table.detach().cpu().numpy())


def tables_of(model: torch.nn.Module) -> dict[tuple[str, str], torch.Tensor]:
    """Returns all tensors that the model holds and does not train, as (submodule, attribute)."""
    return {
        (owner, name): value
        for owner, module in model.named_modules()
        for name, value in {**module.__dict__, **module._buffers}.items()
        if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter)
    }
