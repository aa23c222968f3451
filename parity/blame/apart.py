"""Where the two models part, in the lines of PyTorch's: the first result that Flax has nowhere, of numbers it has."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.places import PLACES
from parity.blame.lines import code_of_caller, expression_of_caller, quoted
from parity.blame.marks import Marks, flax_marks
from parity.blame.one_call import at_call
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import leaves
from parity.twin.twin import State, Twin, in_turn

MOST_LINES = 2
MOST_PLACES = 3

# A submodule, which of its calls, and which of the tensors that it is given is wrong; None: the one that it returns.
Place = tuple[str, int, int | None]
NOWHERE: Place = ("", 0, None)


# Calls that make a tensor from none, or of whose numbers none are the tensor's that they are given.
MAKERS = ("zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty")
VIEWS = (
    "getitem",
    "unsqueeze",
    "view",
    "reshape",
    "expand",
    "transpose",
    "permute",
    "to",
    "float",
    "double",
    "type_as",
)


@dataclass
class Line:
    """A call of a function of PyTorch's, in the line of the user's that makes it.

    place:    the submodule whose code the line is
    name:     of the function
    known:    Flax has its results somewhere
    constant: it is made of no input, no parameter: in Flax it may be made before the program
    sources:  the calls that made what it is given
    """

    code: str
    where: str
    place: str
    name: str
    known: bool
    constant: bool
    sources: list["Line"] = field(default_factory=list)


class Heard(TorchFunctionMode):
    """Notes all calls of functions, which made what, and of what a gradient has been taken.

    turns: what one expression has made in each turn of a loop, which Flax may have all at once
    """

    def __init__(self, marks: Marks, model: torch.nn.Module):
        super().__init__()
        self.marks = marks
        self.made: dict[int, Line] = {}
        self.minimised: list[Line] = []
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
        line = Line(*code_of_caller(self._names), name, known or name in MAKERS, constant, sources)
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


def parted(blame: Blame, twin: Twin, state: State, train: bool, place: Place = NOWHERE, output: str = "") -> Blame:
    """Returns the blame; one that names no cause, with the first lines whose results Flax has nowhere.

    output: which output of the model's is wrong, or "loss", where no submodule tells
    """
    if blame.cause and blame.cause not in PLACES:
        return blame
    try:
        marks = flax_marks(twin, state, train)
        wrong = _wrong(twin, state, train, marks, place, output) if marks else None
    except UNFIT:
        return blame
    return told(blame, wrong)


def told(blame: Blame, wrong: Line | None) -> Blame:
    """Returns the blame with the first lines on the way to the wrong one that Flax has not, and their submodule."""
    first = _first_unknown(wrong)
    lines = list(dict.fromkeys(quoted(line.code, line.where) for line in first if line.code))[:MOST_LINES]
    if not lines:
        return blame
    places = list(dict.fromkeys(line.place for line in first))
    inside = places if not blame.layer and all(places) and len(places) <= MOST_PLACES else [""]
    within = f"in {' and '.join(inside)}, " if inside[0] else ""
    more = f"{within}what {' and '.join(lines)} gives is nowhere in Flax"
    text = f"{blame.text}; {more}, while all that it is made of is"
    return replace(blame, text=text, layer=blame.layer or inside[0])


def _wrong(twin: Twin, state: State, train: bool, marks: Marks, place: Place, output: str) -> Line | None:
    """Runs PyTorch's model, and returns the call that made the wrong tensor."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    run.model.train(train)
    batch = twin.batches[0]
    tensors = run.batch(batch)
    results = dict[str, Any]()
    drawing = ImposedOnTorch(twin.torch_numbers(batch, train))
    heard = Heard(marks, run.model)
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
    """Returns the unknown results that the wrong one comes from, and that are made of known ones alone.

    Of one that is made of constants that are unknown, these.
    """
    if wrong is None or wrong.known:
        return []
    first, left, seen = list[Line](), [wrong], set[int]()
    while left:
        line = left.pop()
        if id(line) in seen:
            continue
        seen.add(id(line))
        unknown = [source for source in line.sources if not source.known]
        constants = [source for source in unknown if source.constant]
        unknown = [source for source in unknown if not source.constant]
        first += [] if unknown else list(map(_table, constants)) or [line]
        left += unknown
    return first[::-1]


def _table(line: Line) -> Line:
    """Returns what an unknown constant is a view of."""
    while line.name in VIEWS and len(line.sources) == 1 and not line.sources[0].known:
        line = line.sources[0]
    return line
