"""Bounds that PyTorch's model sets and no number reaches: a Flax model without them computes the same."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.lines import line_of_caller

BOUNDS = ("clamp", "clamp_", "clamp_min", "clamp_max", "clip", "clip_", "hardtanh", "hardtanh_", "relu6")
LOOKUPS = ("embedding", "embedding_bag")
MAX_NORM = 3  # its place among the arguments of these
GUARD = 1.0  # a lower bound up to it keeps a divisor from 0, a count too
NEARLY = 0.01  # from 0 and from 1: bounds that keep a logarithm from 0

SIDES = ("low", "high")
Side = tuple[str, str]  # (line, one of SIDES)


class Bounds(TorchFunctionMode):
    """Notes where bounds are set within a gradient's program, and on which sides they have bounded anything.

    without: lines whose bounds are left out
    times:   factors of bounds that are moved
    reached: {the line: {side: has any number been beyond it}}
    numbers: what bounds are, where they are plain numbers
    """

    def __init__(self, without: Collection[str] = (), times: Mapping[Side, float] | None = None) -> None:
        super().__init__()
        self.without = without
        self.times = times or {}
        self.reached: dict[str, dict[str, bool]] = {}
        self.numbers: dict[Side, float] = {}

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        bounded = args[0] if args else kwargs.get("input")
        name = getattr(func, "__name__", "")
        if name in LOOKUPS and torch.is_grad_enabled():
            return self._lookup(func, list(args), dict(kwargs))
        if name not in BOUNDS or not isinstance(bounded, torch.Tensor) or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        line = line_of_caller() if bounded.is_floating_point() else ""
        if line and line in self.without:
            return bounded
        if line and any(place[0] == line for place in self.times):
            moved = self._moved(line, *_numbers(name, *args[1:], **kwargs))
            return (bounded.clamp_ if name.endswith("_") else bounded.clamp)(*moved)
        before = bounded.detach().clone() if line else bounded
        result = func(*args, **kwargs)
        if line:
            with suppress(*UNFIT):  # a call of another form than is known
                low, high = _numbers(name, *args[1:], **kwargs)
                self._note(line, before, result.detach(), _sides(name, low, high))
                self._keep(line, low, high)
        return result

    def _lookup(self, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Looks rows up whose norm may be bounded, which PyTorch then does in place."""
        by_place = len(args) > MAX_NORM
        where: Any = args if by_place else kwargs
        place = MAX_NORM if by_place else "max_norm"
        most = args[MAX_NORM] if by_place else kwargs.get("max_norm")
        if most is None:
            return func(*args, **kwargs)
        table = args[1] if len(args) > 1 else kwargs["weight"]
        line = line_of_caller() or f"max_norm={most:g} of a table of {len(table)} rows"
        where[place] = None if line in self.without else most * self.times.get((line, "high"), 1.0)
        before = table.detach().clone()
        result = func(*args, **kwargs)
        self._note(line, before.norm(dim=-1), table.detach().norm(dim=-1), ["high"])
        self._keep(line, None, most)
        return result

    def _moved(self, line: str, *bounds: Any) -> list[Any]:
        """Returns the low and the high bound of a call of that line, each times its factor."""
        factors = (self.times.get((line, side), 1.0) for side in SIDES)
        return [None if bound is None else bound * factor for bound, factor in zip(bounds, factors)]

    def _keep(self, line: str, *bounds: Any) -> None:
        for side, number in zip(SIDES, bounds):
            if isinstance(number, int | float):
                self.numbers[line, side] = number

    def _note(self, line: str, before: torch.Tensor, after: torch.Tensor, sides: Collection[str]) -> None:
        beyond: dict[str, Callable[[], torch.Tensor]] = {
            "low": lambda: (after > before).any(),
            "high": lambda: (after < before).any(),
        }
        reached = self.reached.setdefault(line, dict.fromkeys(sides, False))
        for side in sides:
            reached[side] = reached.get(side, False) or bool(beyond[side]())

    def sides(self, reached: bool) -> set[Side]:
        """Returns the lines and sides that have bounded something, or those that have not."""
        return {(line, side) for line, sides in self.reached.items() for side, x in sides.items() if x == reached}

    def lines(self, reached: bool) -> list[str]:
        """Returns the lines of these."""
        return sorted({line for line, _ in self.sides(reached)})


def _sides(name: str, low: Any, high: Any) -> list[str]:
    """Returns the sides on which a call bounds; none where it guards a divisor or a logarithm."""
    if name == "relu6":
        return ["high"]
    if isinstance(low, int | float):
        logarithm = isinstance(high, int | float) and abs(low) <= NEARLY and abs(high - 1) <= NEARLY
        if logarithm or high is None and abs(low) <= GUARD:
            return []
    return [side for side, bound in zip(SIDES, (low, high)) if bound is not None]


def _numbers(name: str, *bounds: Any, **more: Any) -> tuple[Any, Any]:
    """(low, high) of a call: numbers, tensors or None."""
    if name == "relu6":
        return 0.0, 6.0
    low, high = (*bounds, *((-1.0, 1.0) if name.startswith("hardtanh") and not bounds else ()), None, None)[:2]
    low = more.get("min", more.get("min_val", low))
    high = more.get("max", more.get("max_val", high))
    return (None, low if high is None else high) if name == "clamp_max" else (low, high)
