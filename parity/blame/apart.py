"""Where the two models part, in the lines of PyTorch's: the first result that Flax has nowhere, of numbers it has."""

import itertools
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.marks import Marks, flax_marks
from parity.blame.one_call import at_call
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import leaves
from parity.twin.twin import State, Twin, in_turn

MOST_LINES = 2
MOST_CODE = 60
ELSEWHERE = tuple(str(Path(file).parent) for file in (torch.__file__, __file__))  # no lines of a user's

PLACES = ("channels", "batch-rows", "border", "first-line", "last-line")  # causes that only say where
# A submodule, which of its calls, and which of the tensors that it is given is wrong; None: the one that it returns.
Place = tuple[str, int, int | None]
NOWHERE: Place = ("", 0, None)


@dataclass
class Line:
    """A call of a function of PyTorch's, in the line of the user's that makes it.

    known:   Flax has its results somewhere
    sources: the calls that made what it is given
    """

    code: str
    where: str
    known: bool
    sources: list["Line"] = field(default_factory=list)


class _Heard(TorchFunctionMode):
    """Notes all calls of functions, and which made what."""

    def __init__(self, marks: Marks):
        super().__init__()
        self.marks = marks
        self.made: dict[int, Line] = {}
        self._kept: list[Any] = []  # what is alive keeps its id

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        sources = [self.made[id(x)] for x in given if id(x) in self.made]
        result = func(*args, **(kwargs or {}))
        results = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        if getattr(func, "__name__", "") == "__setitem__":
            results = [x for x in given if x is args[0]]
        if not results or not given:
            return result
        line = Line(*_code(), all(map(self.marks.known, results)), sources)
        self.made |= {id(x): line for x in results}
        self._kept += results
        return result


def parted(blame: Blame, twin: Twin, state: State, train: bool, place: Place = NOWHERE, output: str = "") -> Blame:
    """Returns the blame; one that names no cause, with the first lines whose results Flax has nowhere.

    output: which output of the model's is wrong, or "loss", where no submodule tells
    """
    if blame.cause and blame.cause not in PLACES:
        return blame
    try:
        marks = flax_marks(twin, state, train)
        first = _first_unknown(_wrong(twin, state, train, marks, place, output)) if marks else []
    except UNFIT:
        return blame
    lines = list(dict.fromkeys(f"`{line.code}` ({line.where})" for line in first))[:MOST_LINES]
    more = f"what {' and '.join(lines)} gives is nowhere in Flax, while all that it is made of is"
    return replace(blame, text=f"{blame.text}; {more}") if lines else blame


def _wrong(twin: Twin, state: State, train: bool, marks: Marks, place: Place, output: str) -> Line | None:
    """Runs PyTorch's model, and returns the call that made the wrong tensor."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    run.model.train(train)
    batch = twin.batches[0]
    tensors = run.batch(batch)
    results = dict[str, Any]()
    drawing = ImposedOnTorch(twin.torch_numbers(batch, train))
    heard = _Heard(marks)
    with torch.no_grad(), torch_precision(run.dtype), drawing, _noted(run.model, place) as noted, heard:
        if train:
            for _, loss, more in in_turn(twin.torch.turns, run.model, tensors):
                results |= more | {"loss": loss}
        elif twin.torch.observe:
            results = twin.torch.observe(run.model, tensors)
    wrong = dict(leaves(results)).get(output) if output else next(iter(noted), None)
    return heard.made.get(id(wrong))


@contextmanager
def _noted(model: torch.nn.Module, place: Place) -> Iterator[list[torch.Tensor]]:
    """Lists, within the block, the tensor that the submodule is given, or returns, in that call."""
    name, number, argument = place
    noted: list[torch.Tensor] = []

    def given(arguments: list[torch.Tensor]) -> None:
        noted.extend([] if argument is None else [arguments[argument]])

    def returned(result: Any) -> None:
        noted.extend(x for x in tree_leaves(result) if argument is None and isinstance(x, torch.Tensor))

    with at_call(model.get_submodule(name), number, given, returned):
        yield noted


def _first_unknown(wrong: Line | None) -> list[Line]:
    """Returns the unknown results that the wrong one comes from, and that are made of known ones alone."""
    if wrong is None or wrong.known:
        return []
    first, left, seen = [], [wrong], set[int]()
    while left:
        line = left.pop()
        unknown = [source for source in line.sources if not source.known]
        if id(line) not in seen and not unknown:
            first.append(line)
        left += [source for source in unknown if id(line) not in seen]
        seen.add(id(line))
    return first[::-1]


def _code() -> tuple[str, str]:
    """Returns the innermost expression outside of PyTorch that is being computed, and its file and line."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(ELSEWHERE):
        frame = frame.f_back
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    line, end, first, last = next(positions, (None, None, None, None))
    text = linecache.getline(frame.f_code.co_filename, line or 0).encode()
    code = text[first : last if end == line else None].decode(errors="replace").strip()
    code = code if len(code) <= MOST_CODE else f"{code[:MOST_CODE]}..."
    return code, f"{Path(frame.f_code.co_filename).name}, line {line}"
