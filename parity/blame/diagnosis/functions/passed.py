"""Tensors that submodules are given and return in a run, and the submodule that stands before or behind a function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from parity.blame.diagnosis.functions.alternative import FunctionCall

Numbered = tuple[str, int]  # a function, which of its calls
BEFORE = ("pad",)  # functions that prepare what a layer is given
BEHIND = ("getitem",)  # functions that finish what a layer returns


class Passed:
    """What submodules were given and returned so far.

    beside: the submodule for which a call of a function prepares its input, or whose output the call finishes
    """

    def __init__(self) -> None:
        self.beside: dict[Numbered, str] = {}
        self._tensors: list[tuple[str, torch.Tensor]] = []
        self._prepared: list[tuple[Numbered, torch.Tensor]] = []
        self._times: dict[str, int] = {}

    def given(self, name: str, args: Any) -> None:
        self._times[name] = self._times.get(name, 0) + 1
        for tensor in _floats(args):
            self._tensors.append((self._words(name, "is given"), tensor))
            for numbered, prepared in self._prepared:
                if prepared is tensor:
                    self.beside.setdefault(numbered, name)

    def returned(self, name: str, output: Any) -> None:
        if name:
            self._tensors += [(self._words(name, "returns"), tensor) for tensor in _floats(output)]

    def made(self, numbered: Numbered, call: FunctionCall) -> None:
        """Notes a call of a function beside a submodule."""
        if call.name in BEFORE and isinstance(call.result, torch.Tensor):
            self._prepared.append((numbered, call.result))
        if call.name in BEHIND:
            words = next((words for words, tensor in reversed(self._tensors) if tensor is call.x), "")
            if " returns" in words:
                self.beside.setdefault(numbered, words.removeprefix("what ").partition(" returns")[0])

    def of_shape(self, shape: torch.Size) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the tensors of this shape in words, each once, the latest first."""
        seen: list[torch.Tensor] = []
        for words, tensor in reversed(self._tensors):
            if tensor.shape == shape and not any(tensor is other for other in seen):
                seen.append(tensor)
                yield words, tensor

    def _words(self, name: str, does: str) -> str:
        times = self._times.get(name, 1)
        call = f" in call {times}" if times > 1 else ""
        return f"what {name} {does}{call}" if name else "the model's input"


def _floats(tree: Any) -> list[torch.Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor) and x.is_floating_point()]
