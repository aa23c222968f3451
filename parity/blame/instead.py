"""What Flax has where PyTorch has a result: with it in that place, PyTorch computes what Flax does."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import NOISE, distance, explains
from parity.blame.diagnosis.threads import one_thread
from parity.blame.heard import Line
from parity.blame.lines import quoted
from parity.blame.marks import numeric
from parity.blame.source import source_of

MOST_TRIALS = 600
MOST_LAYOUTS = 8
LARGEST = 100_000  # numbers of a result that is tried
MOST_AXES = 5


class Made(NamedTuple):
    """What Flax computes: the expression of the user's, the numbers, and whether PyTorch has them somewhere."""

    words: str
    array: np.ndarray
    known: bool


class Standing(TorchFunctionMode):
    """Has, within it, calls of functions give other numbers: {which call it is, from 0: what it gives}."""

    def __init__(self, others: Mapping[int, np.ndarray]):
        super().__init__()
        self.others = others
        self._calls = itertools.count()

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        number = next(self._calls)
        result = func(*args, **(kwargs or {}))
        if number not in self.others:
            return result
        in_place = result is None or (args and result is args[0])
        other = torch.tensor(self.others[number]).to(args[0] if in_place else result)
        return args[0].copy_(other) if in_place else other


@one_thread()
def explain_instead(
    wrong: Line | None,
    made: Sequence[Made],
    run: Callable[[Standing], Sequence[np.ndarray]],
    flax: Sequence[np.ndarray],
) -> tuple[Line, Made] | None:
    """Returns the first result on the way to a wrong one that Flax has otherwise, and what it has there.

    made:  what Flax computes, in its order
    run:   computes, under a mode, what is compared
    flax:  what Flax has of it
    """
    oracle = run(Standing({}))
    gap = distance(oracle, flax, oracle)
    for line, each, others in itertools.islice(_trials(on_the_way(wrong), made), MOST_TRIALS):
        try:
            residual = distance(run(Standing(others)), flax, oracle)
        except UNFIT:
            continue
        if explains(residual, gap, NOISE):
            return _of_several(line), each
    return None


def _trials(lines: Sequence[Line], made: Sequence[Made]) -> Iterator[tuple[Line, Made, dict[int, np.ndarray]]]:
    """Yields, for one call after the other, what Flax may have there; of a loop's, first all turns at once."""
    turns = _grouped(lines, lambda line: (line.code, line.where, line.name, line.shape))
    steps = _grouped(made, lambda each: (each.words, each.array.shape))
    for line in lines:
        group = turns[line.code, line.where, line.name, line.shape]
        for each in steps.values() if len(group) > 1 and line is group[0] else ():
            if len(each) == len(group) and not all(one.known for one in each):
                for turned in _layouts(each[0].array.shape, line.shape or ()):
                    yield line, each[0], {one.number: turned(other.array) for one, other in zip(group, each)}
        for each in (one for one in made if not one.known):
            for turned in _layouts(each.array.shape, line.shape or ()):
                yield line, each, {line.number: turned(each.array)}


def _grouped(values: Iterable[Any], key: Callable[[Any], tuple]) -> dict[tuple, list[Any]]:
    groups: dict[tuple, list[Any]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


def on_the_way(wrong: Line | None) -> list[Line]:
    """Returns the calls that a wrong result comes from, back to the first whose results Flax has, in their order."""
    left, seen = [wrong] if wrong else [], dict[int, Line]()
    while left:
        line = left.pop()
        if line.number not in seen:
            seen[line.number] = line
            left += [] if line.known else line.sources
    lines = [seen[number] for number in sorted(seen)]
    return [line for line in lines if line.shape is not None and line.code and not (line.known and line.constant)]


def in_words(line: Line, made: Made) -> str:
    """Returns both expressions, as they are told."""
    return f"Flax computes {made.words} where PyTorch has {quoted(line.code, line.where)}"


def results_of_lines(
    words: list[str], sizes: Collection[int], equation: Any, given: Sequence[Any], results: Sequence[Any]
) -> list[Any]:
    """Returns what an equation gives of as many numbers as there are, and notes the expression of each."""
    source = source_of(equation) if equation is not None else None
    right = lambda x: x.size in sizes and 1 < x.size <= LARGEST and x.dtype.kind == "f"  # noqa: E731
    wanted = list(filter(right, numeric(results))) if source else []
    words.extend([str(source)] * len(wanted))
    return wanted


def _of_several(line: Line) -> Line:
    """Returns the call that gives several results, of one that picks one of them."""
    if line.name != "getitem" or len(line.sources) != 1:
        return line
    (source,) = line.sources
    return source if source.shape is None and not source.known and source.code else line


def _layouts(have: tuple[int, ...], want: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yields what brings an array of one shape into another: axes in another order, split or joined."""
    if np.prod(have) != np.prod(want) or len(want) > MOST_AXES:
        return
    long = [axis for axis, size in enumerate(want) if size > 1]
    short = [axis for axis, size in enumerate(want) if size <= 1]
    orders = ([*order, *short] for order in itertools.permutations(long))
    fitting = (order for order in orders if _fits(have, tuple(want[axis] for axis in order)))
    for order in itertools.islice(fitting, MOST_LAYOUTS):
        turned = tuple(want[axis] for axis in order)
        yield lambda x, turned=turned, order=order: x.reshape(turned).transpose(np.argsort(order))


def _fits(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return _splits(one, other) or _splits(other, one)


def _splits(fine: tuple[int, ...], coarse: tuple[int, ...]) -> bool:
    """Tells whether one shape comes of the other by splitting axes."""
    return set(_bounds(coarse)) <= set(_bounds(fine))


def _bounds(shape: tuple[int, ...]) -> Iterator[int]:
    return itertools.accumulate((n for n in shape if n > 1), lambda a, b: a * b)


def made_of(words: Sequence[str], arrays: Sequence[np.ndarray], known: Callable[[torch.Tensor], bool]) -> list[Made]:
    """Returns Flax's results with their expressions; those of one number are as if PyTorch had them.

    known: tells whether PyTorch has these numbers somewhere
    """
    return [Made(text, x, not np.ptp(x) or known(torch.tensor(x))) for text, x in zip(words, arrays)]
