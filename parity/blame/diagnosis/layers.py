"""Why a layer differs: PyTorch's layer with one convention altered, until it does what Flax did."""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from d2l_jax.errors import InputError
from parity.blame.diagnosis.altered import ALTERATIONS
from parity.blame.diagnosis.altered.others import DROPOUTS
from parity.blame.diagnosis.call_trials import CALLS
from parity.blame.diagnosis.calls import UNFIT, Call, arrays_in, run
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.functions.altering import Altering, Choice, Find
from parity.blame.diagnosis.functions.families import family_trials
from parity.blame.diagnosis.functions.following import Following, following_trials
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.table import alternatives_of
from parity.blame.diagnosis.functions.tables import Replacing, table_trials
from parity.blame.diagnosis.functions.transposing import Transposing, transposed_trials
from parity.blame.diagnosis.functions.trials import function_trials
from parity.blame.diagnosis.tensors import explain_tensor
from parity.blame.diagnosis.threads import one_thread
from parity.models.copies import copy_of

MOST_RUNS = 1200
MOST_HALVES = 3
Trial = tuple[str, str, Call, str]  # a cause, a line for people, the call, the part of the module that was altered
CallTrial = tuple[str, str, Call]
Tried = tuple[Trial, list[np.ndarray]]


@one_thread()
def explain_layer(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    flax_output: Any,
    *,
    training: bool,
    flax_buffers: Mapping[str, np.ndarray] | None = None,
    cotangent: Any = None,
    flax_grads: Mapping[str, np.ndarray] | None = None,
    right: Collection[str] = (),
    numbers: tuple[np.ndarray, ...] = (),
    noise: float = NOISE,
) -> Cause | None:
    """The one convention (or two) under which PyTorch's layer does what Flax's did.

    module:       as it was before the call; a copy is altered and run in float64
    args, kwargs: of the call, in PyTorch's layout: tensors, arrays, or anything else the module takes
    flax_output:  array in PyTorch's layout, or nested tuples of arrays as the module returns; fewer are fine
    flax_buffers: {name: array} after the call, for instance running_mean
    cotangent, flax_grads: what was propagated back, of the output's structure, and {name: gradient} of
                  parameters and of arguments ("input" or "input.1")
    right:        its submodules that are known to compute the same in Flax
    numbers:      the random numbers that both sides were given in the call; without any, they are those of a seed

    Returns None where they agree, and where no hypothesis explains the difference. Raises InputError where
    there is nothing to compare, and where gradients come without a cotangent.
    """
    call, flax = _posed(module, args, kwargs, flax_output, training, flax_buffers or {}, cotangent, flax_grads or {})
    call = replace(call, numbers=numbers)
    if call.gradients and not arrays_in(cotangent):
        raise InputError("gradients cannot be compared without a cotangent; give one of the output's shape")
    oracle = run(call)
    if agree(oracle, flax, noise):
        return None
    tried: list[Tried] = []
    cause = choose(oracle, flax, _runs(_single(call, right), tried), noise)
    cause = cause or choose(oracle, flax, _functions(call, right, oracle, flax), noise)
    cause = cause or choose(oracle, flax, _numbers(call, right, oracle, flax), noise)
    cause = cause or choose(oracle, flax, _runs(_double(call, tried, oracle, flax)), noise)
    drops = any(isinstance(part, DROPOUTS) for part in module.modules()) or bool(numbers)
    return cause or _by_numbers(oracle, flax, noise, drops)


def _posed(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    flax_output: Any,
    training: bool,
    buffers: Mapping[str, np.ndarray],
    cotangent: Any,
    grads: Mapping[str, np.ndarray],
) -> tuple[Call, list[np.ndarray]]:
    outputs = arrays_in(flax_output)
    if not outputs:
        raise InputError("flax_output holds no array; give what the Flax layer returned, in PyTorch's layout")
    call = Call(module, args, kwargs, training, len(outputs), outputs[0], tuple(buffers), tuple(grads), cotangent)
    flax = [*outputs, *arrays_in([*buffers.values(), *grads.values()])]
    return call, flax


def _runs(trials: Iterator[Trial], tried: list[Tried] | None = None) -> Iterator[tuple[str, str, Any, str]]:
    """Runs each trial; those that cannot run are left out."""
    for trial in trials:
        try:
            pieces = run(trial[2])
        except UNFIT:
            continue
        if tried is not None:
            tried.append((trial, pieces))
        yield trial[0], trial[1], pieces, trial[3]


def _single(call: Call, right: Collection[str]) -> Iterator[Trial]:
    """Tries one alteration at a time: of the module, of its call, of each of its parts."""
    for hypothesis in CALLS:
        yield from ((*trial, "") for trial in hypothesis(call))
    for name, text, altered in _altered(call.module):
        yield name, text, replace(call, module=altered), ""
    parts = [
        path for path, part in call.module.named_modules() if path and part is not call.module and path not in right
    ]
    trials = (trial for path in parts for trial in _in_part(call, path))
    yield from (trial for trial, _ in zip(trials, range(MOST_RUNS)))


def _altered(module: nn.Module) -> Iterator[tuple[str, str, nn.Module]]:
    for alteration in ALTERATIONS:
        yield from alteration(module)


def _in_part(call: Call, path: str) -> Iterator[Trial]:
    for name, text, altered in _altered(call.module.get_submodule(path)):
        whole = copy_of(call.module)
        parent, _, last = path.rpartition(".")
        setattr(whole.get_submodule(parent), last, altered)
        yield name, f"in {path}: {text}", replace(call, module=whole), path


def _functions(
    call: Call, right: Collection[str], oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[tuple[str, str, Any, str]]:
    """Tries other functions in a module that somebody wrote; a layer of PyTorch's own has been altered as a whole."""
    if type(call.module).__module__.startswith("torch.nn.") and not any(call.module.children()):
        return

    yield from function_trials(partial(_altering, call, right))
    yield from transposed_trials(
        call.module,
        right,
        lambda mode: run(replace(call, within=lambda module: Transposing(module, mode.name).running())),
    )
    yield from following_trials(
        call.module,
        right,
        lambda mode: run(replace(call, within=lambda module: Following(module, mode.name, mode.function).running())),
    )
    yield from table_trials(
        call.module,
        lambda mode: run(replace(call, within=lambda module: Replacing(module, mode.tables).running())),
        oracle,
        flax,
    )


def _numbers(
    call: Call, right: Collection[str], oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[tuple[str, str, Any, str]]:
    """Fits the numbers that a module which somebody wrote computes with, and the constant of an activation."""
    if not type(call.module).__module__.startswith("torch.nn."):
        yield from number_trials(partial(_altering, call, right), oracle, flax)
    yield from family_trials(partial(_altering, call, right), oracle, flax)


def _altering(
    call: Call, right: Collection[str], choice: Choice, find: Find = alternatives_of
) -> tuple[list[np.ndarray], Altering]:
    """Runs the module with other functions, as the choice has it; returns what it computes, and the mode."""
    modes: list[Altering] = []

    def within(module: nn.Module) -> AbstractContextManager:
        modes.append(Altering(module, choice, right, find))
        return modes[0].running()

    return run(replace(call, within=within)), modes[0]


def _double(call: Call, tried: list[Tried], oracle: list[np.ndarray], flax: list[np.ndarray]) -> Iterator[Trial]:
    """Tries two alterations at once, as two defaults may differ; the first must explain a part by itself."""
    halves = sorted(tried, key=lambda item: _remaining(item[1], oracle, flax))
    for (first, text, altered, part), pieces in halves[:MOST_HALVES]:
        if _remaining(pieces, oracle, flax) > 0.5:
            return
        for second, also, both in _altered(altered.module):
            if second != first:
                yield "+".join(sorted((first, second))), f"{text}; {also}", replace(altered, module=both), part


def _remaining(pieces: list[np.ndarray], oracle: list[np.ndarray], flax: list[np.ndarray]) -> float:
    """The share of the gap that an alteration leaves, in the piece where it leaves least."""
    left = math.inf
    for ours, altered, theirs in zip(oracle, pieces, flax):
        gap = distance([ours], [theirs], [ours])
        if 1e-9 < gap < math.inf:
            left = min(left, distance([altered], [theirs], [ours]) / gap)
    return left


def _by_numbers(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float, drops: bool) -> Cause | None:
    """The first piece that differs, by its numbers alone."""
    for ours, theirs in zip(oracle, flax):
        if distance([ours], [theirs], [ours]) > 100 * noise:
            return explain_tensor(ours, theirs, noise, drops)
    return None
