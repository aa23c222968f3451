"""Tensors that submodules are given and return in a run, and the submodule that stands before or behind a function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from parity.blame.diagnosis.functions.alternative import FunctionCall

Numbered = tuple[str, int]  # a function, which of its calls
BEFORE = ("pad",)  # functions that prepare what a layer is given
BEHIND = ("getitem",)  # functions that finish what a layer returns


class _Noted(NamedTuple):
    """A tensor that a call of a submodule is given, or returns.

    place: which of several tensors it is, from 1; 0 of one alone
    times: which call it is, from 1
    """

    name: str
    does: str
    place: int
    times: int
    tensor: torch.Tensor


class Passed:
    """What submodules were given and returned so far.

    beside: the submodule for which a call of a function prepares its input, or whose output the call finishes
    """

    def __init__(self) -> None:
        self.beside: dict[Numbered, str] = {}
        self._tensors: list[_Noted] = []
        self._prepared: list[tuple[Numbered, torch.Tensor]] = []
        self._times: dict[str, int] = {}
        self._running: list[tuple[str, int]] = []

    def given(self, name: str, args: Any) -> None:
        """Notes that a submodule begins."""
        self._times[name] = self._times.get(name, 0) + 1
        self._running.append((name, self._times[name]))
        for noted in self._noted(name, "is given", args):
            self._tensors.append(noted)
            for numbered, prepared in self._prepared:
                if prepared is noted.tensor:
                    self.beside.setdefault(numbered, name)

    def returned(self, name: str, output: Any) -> None:
        """Notes that a submodule ends."""
        del self._running[-1:]  # none where a run has been broken off
        self._tensors += self._noted(name, "returns", output) if name else []

    def made(self, numbered: Numbered, call: FunctionCall) -> None:
        """Notes a call of a function beside a submodule."""
        if call.name in BEFORE and isinstance(call.result, torch.Tensor):
            self._prepared.append((numbered, call.result))
        if call.name in BEHIND:
            noted = next((noted for noted in reversed(self._tensors) if noted.tensor is call.x), None)
            if noted and noted.does == "returns":
                self.beside.setdefault(numbered, noted.name)

    def of_shape(self, shape: torch.Size) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the tensors of this shape in words, each once, the latest first."""
        seen: list[torch.Tensor] = []
        for noted in reversed(self._tensors):
            if noted.tensor.shape == shape and not any(noted.tensor is other for other in seen):
                seen.append(noted.tensor)
                yield self._words(noted), noted.tensor

    def given_now(self, shape: torch.Size) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields, of these, what the innermost submodule that is running was given."""
        now = [x for x in self._tensors if x.does == "is given" and (x.name, x.times) in self._running[-1:]]
        yield from ((self._words(noted), noted.tensor) for noted in now if noted.tensor.shape == shape)

    def _noted(self, name: str, does: str, tree: Any) -> list[_Noted]:
        tensors = [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor) and x.is_floating_point()]
        times = self._times.get(name, 1)
        return [_Noted(name, does, place * (len(tensors) > 1), times, x) for place, x in enumerate(tensors, 1)]

    def _words(self, noted: _Noted) -> str:
        """Says which tensor it is; of which call, where there has been a later one: words are alike in every turn."""
        one = f"number {noted.place} of " if noted.place else ""
        call = f" in call {noted.times}" if noted.times < self._times.get(noted.name, 1) else ""
        return f"{one}what {noted.name} {noted.does}{call}" if noted.name else f"{one}the model's input"
