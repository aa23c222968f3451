"""Bounds that PyTorch's model sets and no number reaches: a Flax model without them computes the same."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from parity.blame.apart import line_of_caller
from parity.blame.diagnosis.calls import UNFIT
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin, in_turn

BOUNDS = ("clamp", "clamp_", "clip", "clip_", "hardtanh", "hardtanh_", "relu6")
GUARD = 1.0  # a lower bound up to it keeps a divisor from 0, a count too


class _Heard(TorchFunctionMode):
    """Notes where bounds are set, and whether they have bounded anything."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: dict[str, bool] = {}

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        bounded = args[0] if args else kwargs.get("input")
        if getattr(func, "__name__", "") not in BOUNDS or not isinstance(bounded, torch.Tensor):
            return func(*args, **kwargs)
        before = bounded.detach().clone()
        result = func(*args, **kwargs)
        bounds = before.is_floating_point() and not _guards(*args[1:], **kwargs)
        if bounds and (line := line_of_caller()):
            self.reached[line] = self.reached.get(line, False) or not torch.equal(before, result.detach())
        return result


def idle_bounds(twin: Twin, state: State) -> list[str]:
    """Returns the lines of PyTorch's model whose bounds no number of the first batch reaches, in training.

    None of a model that cannot be run in this way: the verdict stands without them.
    """
    try:
        return _idle(twin, state)
    except UNFIT:
        return []


def _idle(twin: Twin, state: State) -> list[str]:
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    run.model.train()
    tensors = run.batch(twin.batches[0])
    heard = _Heard()
    with torch.no_grad(), torch_precision(run.dtype), ImposedOnTorch(twin.torch_numbers(twin.batches[0])), heard:
        for _ in in_turn(twin.torch.turns, run.model, tensors):
            pass
    return [line for line, reached in heard.reached.items() if not reached]


def _guards(low: Any = None, high: Any = None, **more: Any) -> bool:
    """Tells whether it is a lower bound alone, of a divisor."""
    low, high = more.get("min", low), more.get("max", high)
    return high is None and isinstance(low, int | float) and abs(low) <= GUARD
