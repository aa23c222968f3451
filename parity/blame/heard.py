"""The calls of functions that a run of PyTorch's makes, each with its line, and whether Flax has its results."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from parity.blame.lines import code_of_caller, expression_of_caller
from parity.blame.marks import Marks, mark

# Calls that make a tensor from none, or of whose numbers none are the tensor's that they are given.
MAKERS = ("zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty")


@dataclass
class Line:
    """A call of a function of PyTorch's, in the line of the user's that makes it.

    place:    the submodule whose code the line is
    name:     of the function
    number:   which call of a function it is, from 0
    shape:    of the numbers that it makes; None of several tensors, and of what no gradient has
    known:    Flax has its results somewhere
    constant: it is made of no input, no parameter: in Flax it may be made before the program
    sources:  the calls that made what it is given
    """

    code: str
    where: str
    place: str
    name: str
    number: int
    shape: tuple[int, ...] | None
    known: bool
    constant: bool
    sources: list["Line"] = field(default_factory=list)


class Heard(TorchFunctionMode):
    """Notes all calls of functions, which made what, and of what a gradient has been taken.

    rows:  the marks of all that was made
    turns: what one expression has made in each turn of a loop, which Flax may have all at once
    """

    def __init__(self, marks: Marks, model: torch.nn.Module):
        super().__init__()
        self.marks = marks
        self.made: dict[int, Line] = {}
        self.minimised: list[Line] = []
        self.rows: list[np.ndarray] = []
        self._calls = itertools.count()
        self.turns: dict[tuple, list[tuple[Line, torch.Tensor, int]]] = {}
        self._names = {id(module): name for name, module in model.named_modules()}
        self._constants = {id(x) for x in model.buffers()}
        self._kept: list[Any] = []  # what is alive keeps its id

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        sources = [self.made[id(x)] for x in given if id(x) in self.made]
        name = getattr(func, "__name__", "").strip("_")
        if name in ("backward", "grad"):
            self.minimised += sources[:1]
        others = [x for x in given if id(x) not in self.made]
        number = next(self._calls)
        result = func(*args, **(kwargs or {}))
        results = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        if name == "setitem":
            results = [x for x in given if x is args[0]]
        if not results:
            return result
        constant = self._constants.issuperset(map(id, others)) and all(source.constant for source in sources)
        constant = constant or name in MAKERS
        known = all(map(self.marks.known, results))
        if constant:  # of whole numbers or of truths there are too many ways
            known = known or not (given and any(x.is_floating_point() or x.is_complex() for x in results))
        elif name == "getitem" and _picks(args[1]):  # one step of many is as right as all
            known = known or all(source.known for source in sources)
        self.rows += [mark(x.detach().cpu().numpy(), np) for x in results if x.numel()]
        shape = tuple(results[0].shape) if len(results) == 1 and results[0].is_floating_point() else None
        line = Line(*code_of_caller(self._names), name, number, shape, known or name in MAKERS, constant, sources)
        self.made |= {id(x): line for x in results}
        self._kept += results
        if len(results) == 1:
            turns = self.turns.setdefault((name, line.place, expression_of_caller()), [])
            turns.append((line, results[0], results[0]._version))
        return result

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for turns in self.turns.values():
            unknown = [line for line, _, _ in turns if not line.known]
            changed = any(x._version != version for _, x, version in turns)
            if unknown and not changed and self.marks.known(torch.cat([x.detach().flatten() for _, x, _ in turns])):
                for line in unknown:  # a mark tells no order
                    line.known = True


def _picks(index: Any) -> bool:
    """Tells whether an index takes one of several."""
    return any(isinstance(x, int) and not isinstance(x, bool) for x in (index if isinstance(index, tuple) else [index]))
