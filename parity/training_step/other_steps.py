"""Numbers of PyTorch's step that change with the steps, as a weight that is annealed: those of another step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from torch.overrides import TorchFunctionMode

from parity.blame.diagnosis.functions.table import plain_name
from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.training_step.outside_optimizers import told_of_steps

MOST = 8  # calls whose numbers change
Taken = Callable[["Numbers"], Sequence[np.ndarray]]


class Numbered(NamedTuple):
    """A call of a function by the user's own code, and the numbers that it is given."""

    name: str
    numbers: tuple[float, ...]


class Numbers(TorchFunctionMode):
    """Lists, within it, the calls that are given numbers, and gives some of them others.

    others: {which of these calls it is, from 0: the numbers in their place}
    """

    stepping = False

    def __init__(self, others: Mapping[int, tuple[float, ...]] | None = None):
        super().__init__()
        self.others = others or {}
        self.calls: list[Numbered] = []

    @contextmanager
    def running(self) -> Iterator["Numbers"]:
        """Lets the step run within the block."""
        with told_of_steps(self), self:
            yield self

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        numbers = tuple(x for x in args if type(x) is float)
        if self.stepping or not numbers:
            return func(*args, **(kwargs or {}))
        new = iter(self.others.get(len(self.calls), numbers))
        self.calls.append(Numbered(plain_name(func), numbers))
        return func(*(next(new) if type(x) is float else x for x in args), **(kwargs or {}))


def other_steps(number: int, taken: Taken, others: Mapping[int, Callable[[Numbers], Any]]) -> Iterator[FunctionTrial]:
    """Yields what PyTorch's step gives with the numbers of another step, those of one call or of all.

    number: of the step
    taken:  takes it once more under the mode, and returns what is compared
    others: take the other steps, by their numbers
    """
    now = Numbers()
    taken(now)
    for other in sorted(others, key=lambda each: abs(each - number)) if now.calls else ():
        then = Numbers()
        others[other](then)
        if [(call.name, len(call.numbers)) for call in then.calls] != [(c.name, len(c.numbers)) for c in now.calls]:
            continue
        pairs = list(enumerate(zip(now.calls, then.calls)))
        changed = {at: there for at, (here, there) in pairs if here.numbers != there.numbers}
        if not changed or len(changed) > MOST:
            continue
        for chosen in [[at] for at in changed] + ([list(changed)] if len(changed) > 1 else []):
            here, there = now.calls[chosen[0]], changed[chosen[0]]
            text = _told(number, other, here, there)
            yield "number-of-step", text, list(taken(Numbers({at: changed[at].numbers for at in chosen}))), ""


def _told(number: int, other: int, here: Numbered, there: Numbered) -> str:
    ours, theirs = next((new, old) for new, old in zip(there.numbers, here.numbers) if new != old)
    text = f"Flax computes step {number} with {ours:.6g} where PyTorch has {theirs:.6g} (in {here.name})"
    return f"{text}, and {ours:.6g} in step {other}"
