"""Why a model's own body differs, between layers that are all right: PyTorch's with one of its functions altered."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.arrays.torch_arrays import to_numpy
from parity.blame.buffer_order import updated_trials
from parity.blame.constants import constant_trials, flax_arrays
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import NOISE, Cause, choose, distance
from parity.blame.diagnosis.functions import Altering, function_trials
from parity.blame.diagnosis.functions.altering import Choice, Find, untouched
from parity.blame.diagnosis.functions.exchanging import Exchanging, exchanged_trials
from parity.blame.diagnosis.functions.families import family_trials
from parity.blame.diagnosis.functions.following import Following, following_trials
from parity.blame.diagnosis.functions.moved import Moved
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.tables import Replacing, table_trials
from parity.blame.diagnosis.functions.transposing import Transposing, transposed_trials
from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.blame.diagnosis.threads import one_thread
from parity.blame.elsewhere import Results, explain_elsewhere, explain_order
from parity.blame.one_call import at_call
from parity.blame.recurrent import recurrent_trials
from parity.layers.received import Received, gap_of
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.constants import one_digit, shifting
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import leaves
from parity.twin.twin import State, Twin, in_turn

NEAR = 1e-9  # relative to a tensor's scale
MOST_NOISE = 1e-5


class _Met(BaseException):
    """Ends a run at the tensor that is compared: what comes behind it has no part in it."""


class Watched:
    """Names the tensor of a run that is compared: an input of some layer, or an output of the model's.

    oracle, flax: PyTorch's tensor and Flax's, in PyTorch's layout
    """

    def __init__(self, oracle: np.ndarray, flax: np.ndarray, output: str = "", received: Received | None = None):
        self.oracle = np.asarray(oracle, np.float64)
        self.flax = np.asarray(flax, np.float64)
        self.output = output
        self.received = received

    @contextmanager
    def seen(self, model: torch.nn.Module, ends: bool = True) -> Iterator[list[np.ndarray]]:
        """Lists, within the block, what the layer is given in the call in question, where the run may end."""
        tensors: list[np.ndarray] = []
        received = self.received
        if received is None:
            yield tensors
            return

        def note(arguments: list[torch.Tensor]) -> None:
            tensors.append(received.turned(to_numpy(arguments[received.place])))
            if ends:
                raise _Met

        with suppress(_Met), at_call(model.get_submodule(received.name), received.number, note):
            yield tensors


@one_thread()
def explain_body(twin: Twin, state: State, train: bool, watched: Watched, right: Collection[str] = ()) -> Cause | None:
    """The function of the body's that Flax leaves out or computes otherwise, at one call or at all.

    right: submodules that compute the same in Flax when they are given the same
    """
    run = TorchRun(twin, "float64", "cpu")

    def altering(choice: Choice) -> tuple[list[np.ndarray], Altering]:
        mode = Altering(run.model, choice, right)
        return [_watched(run, twin, state, train, mode, watched)], mode

    def computed(mode: Transposing | Replacing) -> list[np.ndarray]:
        return [_watched(run, twin, state, train, mode, watched)]

    oracle, flax = [watched.oracle], [watched.flax]
    noise = _noise_of_constants(run, lambda: altering(untouched)[0], oracle)

    def computed_from(start: State, ends: bool = True) -> tuple[list[np.ndarray], State]:
        found = _watched(run, twin, start, train, Altering(run.model, untouched, right), watched, ends)
        return [found], run.state()

    trials = itertools.chain(
        updated_trials(state, computed_from) if train else (),
        function_trials(altering),
        recurrent_trials(run.model, right, lambda: altering(untouched)[0]),
        transposed_trials(run.model, right, computed),
        table_trials(run.model, computed, oracle, flax),
    )
    return choose(oracle, flax, trials, noise)


def _noise_of_constants(run: TorchRun, again: Callable[[], list[np.ndarray]], oracle: list[np.ndarray]) -> float:
    """Returns the noise of rounding, or what a digit of float32 of the model's own tables makes of a tensor."""
    if not run.constants:
        return NOISE
    with shifting(run, one_digit(0)):
        moved = distance(again(), oracle, oracle)
    return max(NOISE, min(4 * moved, MOST_NOISE) / 1e3)  # a thousand times the noise is near


@one_thread()
def explain_other(twin: Twin, state: State, train: bool, watched: Watched) -> Cause | None:
    """The other tensor of PyTorch's that Flax has in its place, or beside it."""
    run = TorchRun(twin, "float64", "cpu")
    received = watched.received
    turned = received.turned if received else lambda array: array
    results = _results(run, twin, state, train, watched)
    cause = explain_elsewhere(watched.oracle, watched.flax, results, turned)
    if cause or not received:
        return cause
    results = _results(run, twin, state, train, watched, run.model.get_submodule(received.name))
    return explain_order(watched.oracle, watched.flax, results, received.label, turned)


def _results(
    run: TorchRun, twin: Twin, state: State, train: bool, watched: Watched, without: torch.nn.Module | None = None
) -> Results:
    """Returns what functions give in a whole run, behind the tensor that is compared, too."""
    results = Results(watched.oracle.size, without)
    with suppress(*(UNFIT if without else ())):  # other modules may expect what it returns
        _watched(run, twin, state, train, results, watched, ends=False)
    return results


@one_thread()
def explain_moved(
    twin: Twin, state: State, train: bool, watched: Watched, received: Iterable[Received]
) -> Cause | None:
    """The function before one of the layers that Flax computes behind it, if that is all.

    watched:  the model's output
    received: what layers are given, something else in Flax or not
    """
    layers = dict.fromkeys((x.name, x.number) for x in received if gap_of(x.torch, x.flax) > NEAR)
    run = TorchRun(twin, "float64", "cpu")

    def trials() -> Iterator[FunctionTrial]:
        for name, number in layers:
            with suppress(*UNFIT):
                seen = Moved(run.model, name, number)
                _watched(run, twin, state, train, seen, watched)
                if seen.moved is not None:
                    moved = Moved(run.model, name, number, seen.moved)
                    text = f"PyTorch computes {seen.words} before {name}, Flax behind it"
                    yield "order-exchanged", text, [_watched(run, twin, state, train, moved, watched)], ""

    return choose([watched.oracle], [watched.flax], trials())


@one_thread()
def explain_constant(twin: Twin, state: State, train: bool, watched: Watched) -> Cause | None:
    """The table, such as a mask, of which Flax has other numbers."""
    run = TorchRun(twin, "float64", "cpu")

    def computed(mode: Replacing) -> list[np.ndarray]:
        return [_watched(run, twin, state, train, mode, watched)]

    trials = constant_trials(run.model, computed, flax_arrays(twin, state, train))
    return choose([watched.oracle], [watched.flax], trials)


@one_thread()
def explain_exchange(
    twin: Twin, state: State, train: bool, watched: Watched, right: Collection[str] = ()
) -> Cause | None:
    """The two layers, right by themselves, whose results Flax uses in each other's place, or a function of one's."""
    run = TorchRun(twin, "float64", "cpu")

    def computed(mode: Exchanging | Following) -> list[np.ndarray]:
        return [_watched(run, twin, state, train, mode, watched)]

    exchanged = exchanged_trials(run.model, right, computed, partial(_crossed, twin))
    following = following_trials(run.model, right, computed)
    return choose([watched.oracle], [watched.flax], itertools.chain(exchanged, following))


def _crossed(twin: Twin, first: str, second: str) -> str:
    """Says that the two are of each other's names, by which it is their inputs that are exchanged."""
    ours = [twin.names.get(name, ()) for name in (second, first)]
    if any(".".join(map(str, path)) != name for path, name in zip(ours, (first, second))):
        return ""
    return f": by their names, {first} is given what {second} is right for, and {second} what {first} is"


@one_thread()
def explain_number(
    twin: Twin, state: State, train: bool, watched: Watched, right: Collection[str] = ()
) -> Cause | None:
    """The number that Flax's body computes with in the place of another of PyTorch's."""
    run = TorchRun(twin, "float64", "cpu")

    def altering(choice: Choice, find: Find) -> tuple[list[np.ndarray], Altering]:
        mode = Altering(run.model, choice, right, find)
        return [_watched(run, twin, state, train, mode, watched)], mode

    oracle, flax = [watched.oracle], [watched.flax]
    numbers, families = (fit(altering, oracle, flax) for fit in (number_trials, family_trials))
    return choose(oracle, flax, itertools.chain(numbers, families))


Mode = Altering | Transposing | Replacing | Exchanging | Following | Results | Moved


def _watched(
    run: TorchRun, twin: Twin, state: State, train: bool, mode: Mode, watched: Watched, ends: bool = True
) -> np.ndarray:
    run.load(state)
    run.model.train(train)
    batch = twin.batches[0]
    results = dict[str, Any]()
    drawing = ImposedOnTorch(twin.torch_numbers(batch, train))
    tensors = run.batch(batch)
    with watched.seen(run.model, ends) as seen, torch.no_grad(), torch_precision(run.dtype), drawing, mode.running():
        if train:
            for _, _, more in in_turn(twin.torch.turns, run.model, tensors):
                results |= more
        elif twin.torch.observe:
            results = twin.torch.observe(run.model, tensors)
    return seen[0] if watched.received else to_numpy(dict(leaves(results))[watched.output])
