"""Why a step differs where no convention of optimisers tells: PyTorch's whole step with one thing in it altered."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import jax
import numpy as np
import torch

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import Cause, agree, choose
from parity.blame.diagnosis.functions import Altering, function_trials
from parity.blame.diagnosis.functions.altering import Choice, untouched
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.table import alternatives_of
from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.blame.diagnosis.optimizers.trial import listed
from parity.blame.diagnosis.threads import one_thread
from parity.blame.heard import Heard
from parity.blame.instead import Standing, explain_instead, in_words, made_of, on_the_way, results_of_lines
from parity.blame.marks import MOST_EQUATIONS, Marks, Tell, mark, numeric
from parity.models.programs import computed, length
from parity.result import Blame
from parity.training_step.judged import Outcome, in_tier
from parity.training_step.other_steps import Numbers, other_steps
from parity.training_step.outside_optimizers import told_of_steps
from parity.training_step.pair import StepPair
from parity.training_step.stopped import blocks_without_gradient, stops
from parity.training_step.together import at_the_end, held_back

NOISE = 1e-11
PHASES = ("forward", "update", "optimizer", "buffers")


class _Altering(Altering):
    """The same, which leaves PyTorch's own optimisers alone."""

    stepping = False

    @contextmanager
    def running(self) -> Iterator["_Altering"]:
        """Lets the step run within the block."""

        with told_of_steps(self), super().running():
            yield self

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if self.stepping:
            return func(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)


@one_thread()
def explain_within(pair: StepPair, outcome: Outcome, others: Sequence[Outcome] = ()) -> Cause | None:
    """The function, or the number, of PyTorch's step under another of which all is as in Flax: loss and new state.

    Where nothing explains all of it, the function that explains a wrong loss.

    others: further steps, whose numbers Flax may have at this one
    """
    both = [key for key in outcome.oracle if key in outcome.flax and key.slot != "step"]
    keys = sorted((key for key in both if key.phase in PHASES), key=lambda key: PHASES.index(key.phase))
    oracle, flax = [outcome.oracle[key] for key in keys], [outcome.flax[key] for key in keys]
    losses = [piece.phase for piece in keys].count("forward")
    losses = 0 if agree(oracle[:losses], flax[:losses], NOISE) else losses  # nothing explains what is right
    of_loss: list[Cause] = []

    def altering(choice: Choice, find: Callable = alternatives_of) -> tuple[list[np.ndarray], Altering]:
        mode = _Altering(pair.torch.model, choice, find=find)
        with _inside(pair, mode.running):
            record = _taken(pair, outcome)
        return [record[key] for key in keys], mode

    def trials() -> Iterator[FunctionTrial]:
        for cause, text, pieces, place in function_trials(altering):
            yield cause, text, pieces, place
            one = [(cause, text, pieces[:losses], place)]
            if losses and not of_loss and (found := choose(oracle[:losses], flax[:losses], one, NOISE)):
                of_loss.append(replace(found, text=f"{found.text}; the update differs besides"))

    def numbered(numbers: Numbers, at: Outcome = outcome) -> list[np.ndarray]:
        with _inside(pair, numbers.running):
            record = _taken(pair, at)
        return [record[key] for key in keys if key in record]

    def together() -> list[np.ndarray]:
        with _inside(pair, held_back(len(outcome.seen.optimizers))):
            record = _taken(pair, outcome)
        return [record[key] for key in keys]

    def gradients_alone() -> Iterator[FunctionTrial]:
        yield from blocks_without_gradient(lambda: altering(untouched)[0])
        yield from function_trials(partial(altering, find=stops))

    hidden = gradients_alone() if not losses else ()  # where the loss is right
    numbers = number_trials(altering, oracle, flax, losses)
    of_others = other_steps(outcome.number, numbered, {x.number: partial(numbered, at=x) for x in others})
    first = chain(at_the_end(outcome.seen, together), of_others)
    whole = choose(oracle, flax, chain(first, hidden, trials(), numbers), NOISE)
    return whole or next(iter(of_loss), None)


def parted_within(blame: Blame, pair: StepPair, outcome: Outcome) -> Blame:
    """Returns the blame; one that names no cause, with the first result that JAX's step has otherwise."""
    if blame.cause or pair.narrow:
        return blame
    try:
        marks = _marks(pair, outcome)
        text = (_of_gradients(outcome, marks) or _of_losses(pair, outcome, marks)) if marks else ""
    except UNFIT:
        return blame
    return replace(blame, text=f"{blame.text}; {text}") if text else blame


def _of_losses(pair: StepPair, outcome: Outcome, marks: Marks) -> str:
    """Returns the first result on the way to a wrong loss in whose place JAX has another; "" where none explains it."""
    keys = [key for key in outcome.oracle if key.phase == "forward" and key in outcome.flax]
    heard = Heard(marks, pair.torch.model)
    with _inside(pair, lambda: heard):
        _taken(pair, outcome)
    wrong = next((line for line in heard.minimised if not line.known), None)
    sizes = {int(np.prod(line.shape)) for line in on_the_way(wrong) if line.shape is not None}

    def again(mode: Standing) -> list[np.ndarray]:
        with _inside(pair, lambda: mode):
            record = _taken(pair, outcome)
        return [record[key] for key in keys]

    words: list[str] = []
    arrays = _told_of_jax(pair, outcome, partial(results_of_lines, words, sizes)) if sizes else []
    made = made_of(words, arrays, Marks(np.stack(heard.rows), marks.near).known)
    found = explain_instead(wrong, made, again, [outcome.flax[key] for key in keys])
    return in_words(*found) if found else ""


def _of_gradients(outcome: Outcome, marks: Marks) -> str:
    """Returns which gradients of PyTorch's only update Flax has nowhere; "" where none, or the loss is wrong."""
    failed = [row.key for row in outcome.rows if not row.passed]
    seen = outcome.seen
    if len(seen.applied) != 1 or any(key.phase == "forward" for key in failed):
        return ""
    wrong = [key.tensor for key in failed if key.phase == "update" and key.tensor in seen.applied[0]]
    unknown = [name for name in wrong if not _known(marks, seen.applied[0][name])]
    if not unknown:
        return ""
    text = f"PyTorch's gradient of {listed(unknown)} is nowhere in Flax"
    one = len(seen.passes) == 1 and all(name in seen.passes[0] for name in unknown)
    if not one:
        return text
    if all(_known(marks, seen.passes[0][name]) for name in unknown):
        return f"{text}, but that of the backward pass is: what is done to it before the update differs"
    return f"{text}: another loss is differentiated, or a gradient is stopped on one side alone"


def _known(marks: Marks, array: np.ndarray) -> bool:
    return marks.known(torch.as_tensor(array))


def _marks(pair: StepPair, outcome: Outcome) -> Marks | None:
    """Returns the marks of all that JAX's step computes in float64; None of a long one."""
    arrays = _told_of_jax(pair, outcome, lambda _, __, results: numeric(results))
    return Marks(np.stack([mark(x, np) for x in arrays])) if arrays else None


def _told_of_jax(pair: StepPair, outcome: Outcome, tell: Tell) -> list[np.ndarray]:
    """Returns what `tell(equation, what it is given, what it gives)` makes of all equations of JAX's step.

    Of what it is given, too, for which there is no equation. Nothing of a long one.
    """
    with in_tier("float64"), pair.within(outcome.number, "float64"):
        program, _, args = pair.jax.traced(outcome.before, pair.batches[outcome.number - 1], "float64")
        if length(program.jaxpr) > MOST_EQUATIONS:
            return []

        def told(*args: Any) -> list[jax.Array]:
            found = [*tell(None, (), [*program.consts, *args])]
            computed(program.jaxpr, program.consts, args, lambda *equation: found.extend(tell(*equation)))
            return found

        return [np.asarray(x) for x in jax.jit(told)(*args)]


def _taken(pair: StepPair, outcome: Outcome) -> dict:
    """Takes PyTorch's step once more from the same state, and returns its record."""
    pair.torch.put(outcome.start, "float64")
    return pair.torch_record(pair.torch.taken(outcome.number, "float64"))


@contextmanager
def _inside(pair: StepPair, mode: Callable[[], AbstractContextManager]) -> Iterator[None]:
    """Lets PyTorch's steps within the block run in a mode of their own."""
    side, within = pair.torch, pair.torch.within

    @contextmanager
    def both(number: int) -> Iterator[None]:
        with within(number), mode():
            yield

    side.within = both
    try:
        yield
    finally:
        side.within = within
