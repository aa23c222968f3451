"""Rows of one step: how far rounding may move it is measured as often as the verdict needs it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError, in_a_line
from parity.arrays.key import Key, Record
from parity.compare.constants import HELD_CEILING, STEEP_CEILING, excused, granted, only_gradients, shifted_records
from parity.compare.fitted import Fit, Held, fitted, is_of_another
from parity.compare.policy import Policy
from parity.compare.precision import compare_precision
from parity.compare.probes import MOST_PROBES, errors_of, high_probes, largest_of, low_probes, noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics, near, steep_here
from parity.proof.checking import PROBES
from parity.sides.constants import Shift, moves, shifting
from parity.sides.disturb_operations import by_an_ulp
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import State, Twin


def check_repeatable(twin: Twin, device: str, first: Record) -> None:
    """Raises InputError where PyTorch gives another result than its `first` for the same numbers."""
    second = TorchRun(twin, "float64", device).taken(1, twin.start)
    for key in second:
        scale = np.max(np.abs(first[key]), initial=1e-300)
        if first[key].size and np.max(np.abs(first[key] - second[key])) > 1e-9 * scale:
            raise InputError(f"{twin.name}: PyTorch's model is not deterministic: two runs differ in {key}")


class Diverged(InputError):
    """Training has left the numbers that can be compared: its rate is too large for these models."""


@contextmanager
def running_still(twin: Twin, number: int) -> Iterator[None]:
    """Raises Diverged where PyTorch's model, which has taken the first step, refuses what training has made of it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if number == 1:
            raise
        raised = f"{twin.name}: PyTorch's model does not run at step {number}: {in_a_line(error)}"
        raise Diverged(f"{raised}; {_nearer(number)}") from error


def check_finite(twin: Twin, number: int, oracle: Record) -> None:
    """Raises InputError where an objective of PyTorch's is not finite: there is nothing to be measured against."""
    for name, _ in twin.turns:
        loss = oracle.get(Key(number, "forward", "loss", name))
        if loss is None:
            continue
        with np.errstate(over="ignore"):
            held = loss.astype(np.float32)  # which has to hold it, too
        if not np.isfinite(held).all():
            called = f"the objective of turn {name!r}" if name else "the objective"
            said = f"{twin.name}: {called} is {float(loss)} in PyTorch at step {number}"
            if number == 1:
                raise InputError(f"{said}; a number is right")
            raise Diverged(f"{said}; {_nearer(number)}")


def _nearer(number: int) -> str:
    return f"a smaller learning rate, or steps={number - 1}, is right"


class Roundings(NamedTuple):
    """Sources of rounding of an update beside the noise of weights and inputs, by key; see `compare_semantics`."""

    subtracted: dict[Key, float]
    corrected: dict[Key, float]

    @classmethod
    def of(cls, run: TorchRun, number: int, state: State) -> "Roundings":
        """Returns those of a step that PyTorch has taken from the state."""
        return cls(subtracted_parameters(run.twin, number, state), bias_corrections(run, number))


def bias_corrections(run: TorchRun, number: int) -> dict[Key, float]:
    """Returns for each update of an optimiser that corrects its moments' bias, as Adam, the smallest 1 - beta^t.

    The frameworks round the power differently, and the difference from 1 makes a large part of it visible.
    """
    corrections: dict[Key, float] = {}
    for turn, optimizer in zip(run.turns, run.optimizers, strict=True):
        betas = [beta for group in optimizer.param_groups for beta in group.get("betas", ())]
        if betas and 0 < max(betas) < 1:
            trained = run.twin.trained(turn.trains)
            corrections |= {Key(number, "update", leaf.name, turn.name): 1 - max(betas) ** number for leaf in trained}
    return corrections


def subtracted_parameters(twin: Twin, number: int, state: State) -> dict[Key, float]:
    """Returns for each update the largest of the parameters that it was the difference of."""
    return {
        Key(number, "update", leaf.name, name): float(np.max(np.abs(state.tensors[leaf.key]), initial=0.0))
        for name, trains in twin.turns
        for leaf in twin.trained(trains)
    }


Disturbed = Callable[..., Iterator[Record]]  # (seeds, ulps=1, operations=False)


def held_by(torch: TorchRun, flax: FlaxRun, number: int, state: State, slots: set[str], after: State) -> Held:
    """Returns how the step of that number is taken once more with the constants moved that the models hold."""

    def theirs(shift: Shift) -> Record:
        with shifting(torch, shift):
            return torch.taken(number, state)

    def ours(shift: Shift) -> Record:
        return flax.shifted(shift, number, state, slots, after)

    return Held(theirs if torch.constants else None, ours if flax.constants else None)


def semantics(
    oracle: Record,
    flax: Record,
    twin: Twin,
    disturbed: Disturbed,
    policy: Policy,
    roundings: Roundings,
    probes: int = PROBES,
    held: Callable[[], Held] = Held,
    fit: Fit | None = None,
    told: Collection[Key] = (),
    others: Callable[[], Iterable[Record]] = tuple,
) -> list[Row]:
    """Returns the rows of float64. Where a gap seems too large, more probes tell how far rounding can move it.

    told: what steps before have told, see `steep_here`
    others: PyTorch's records with another epsilon each; what one of them explains is no digit of what one side holds
    held: at last, runs whose constants are moved, by a digit of float32 or as the steps before have fitted them
    """
    judge = partial(_judged, twin, policy, roundings)
    spread: Record = {}
    noise: dict[Key, float] = {}
    rows: list[Row] = []
    for seeds, operations in high_probes(probes, PROBES):
        if rows and not near(rows, policy, noise):
            break
        noise = largest_of(noise, noise_of(oracle, disturbed(seeds, operations=operations), spread))
        rows = judge(noise, spread, oracle, flax)
        if all(row.passed for row in rows):
            return rows
    final = lambda oracle, flax: steep_here(judge(noise, spread, oracle, flax), told, noise, policy)  # noqa: E731
    runs, fit = held(), fit or Fit()
    if moved := list(shifted_records(oracle, flax, partial(moves, PROBES), runs)):
        wider = dict(spread)
        more = largest_of(noise, noise_of(oracle, moved, wider))
        loose = rows
        for ceiling in (HELD_CEILING, STEEP_CEILING):
            if ceiling == HELD_CEILING or only_gradients(loose):
                again = _judged(twin, replace(policy, ceiling=ceiling), roundings, more, wider, oracle, flax)
                loose = excused(loose, again)
        kept = granted(rows, loose, fitted(oracle, flax, runs, fit), fit, final)
        excusing = any(a is not b for a, b in zip(rows, kept)) and not (runs.theirs and runs.ours)
        rows = rows if excusing and is_of_another(oracle, flax, runs, others()) else kept
    return steep_here(rows, told, noise, policy)


def _judged(
    twin: Twin,
    policy: Policy,
    roundings: Roundings,
    noise: dict[Key, float],
    spread: Record,
    oracle: Record,
    flax: Record,
) -> list[Row]:
    return compare_semantics(
        oracle, flax, noise, longest_sum(twin), policy, roundings.subtracted, spread, roundings.corrected
    )


def precise(
    oracle: Record,
    flax: Record,
    twin: Twin,
    disturbed: Disturbed,
    policy: Policy,
    roundings: Roundings,
    tier: str = "float32",
    probes: int = PROBES,
    most: int = MOST_PROBES,
) -> list[Row]:
    """Returns the rows of low precision.

    most: see `most_probes`

    PyTorch's error is the largest of its runs that differ by one ulp: equally good ways of rounding.

    A unit of a rectifier or a maximum may flip in one of them and move a whole gradient. Where Flax's error
    seems too large, more runs tell how often PyTorch does the same, some of which differ by as many ulps as Flax
    may err more than PyTorch. Where nothing flips these err as many times more, and so count for that much less.
    """
    reference: dict[Key, float] = {}
    rows: list[Row] = []
    for seeds, ulps, operations in low_probes(policy, probes, most):
        errors = errors_of(oracle, disturbed(seeds, ulps, operations))
        reference = largest_of(reference, {key: error / ulps for key, error in errors.items()})
        rows = compare_precision(oracle, reference, flax, longest_sum(twin), tier, policy, *roundings)
        if all(row.passed for row in rows):
            break
    return rows


def disturbed_steps(
    run: TorchRun, number: int, state: State, seeds: range, ulps: int = 1, operations: bool = False
) -> Iterator[Record]:
    """Takes a step of PyTorch's for each seed, moved as `by_an_ulp` says; seed -1 moves nothing."""
    for seed in seeds:
        yield run.taken(number, state, by_an_ulp(seed, ulps, operations))
