"""Rows of one step: how far rounding may move it is measured as often as the verdict needs it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError, in_a_line
from parity.arrays.key import Key, Record
from parity.compare.constants import HELD_CEILING, STEEP_CEILING, excused, only_gradients, shifted_records
from parity.compare.policy import Policy
from parity.compare.precision import compare_precision
from parity.compare.probes import MOST_PROBES, errors_of, high_probes, largest_of, low_probes, noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics, near, steep_here
from parity.proof.checking import PROBES
from parity.sides.constants import one_digit, shifting
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
Shifted = Callable[[], Iterable[Record]]


class Shifts(NamedTuple):
    """Runs of both sides whose constants are moved by a digit of float32; none where no model holds any."""

    torch: TorchRun
    flax: FlaxRun

    def records(
        self, number: int, state: State, slots: set[str], oracle: Record, flax: Record, after: State | None = None
    ) -> Iterator[Record]:
        """Yields what the step becomes; Flax's as PyTorch's moved by the same amount."""

        def theirs(seed: int) -> Record:
            with shifting(self.torch, one_digit(seed)):
                return self.torch.taken(number, state)

        def ours(seed: int) -> Record:
            return self.flax.shifted(one_digit(seed), number, state, slots, after)

        sides = theirs if self.torch.constants else None, ours if self.flax.constants else None
        return shifted_records(oracle, flax, range(PROBES), *sides)


def semantics(
    oracle: Record,
    flax: Record,
    twin: Twin,
    disturbed: Disturbed,
    policy: Policy,
    roundings: Roundings,
    probes: int = PROBES,
    shifted: Shifted = tuple,
    told: Collection[Key] = (),
) -> list[Row]:
    """Returns the rows of float64. Where a gap seems too large, more probes tell how far rounding can move it.

    told: what steps before have told, see `steep_here`
    shifted: at last, runs whose constants are moved by a digit of float32
    """
    spread: Record = {}
    noise: dict[Key, float] = {}
    rows: list[Row] = []
    for seeds, operations in high_probes(probes, PROBES):
        if rows and not near(rows, policy, noise):
            break
        noise = largest_of(noise, noise_of(oracle, disturbed(seeds, operations=operations), spread))
        rows = compare_semantics(
            oracle, flax, noise, longest_sum(twin), policy, roundings.subtracted, spread, roundings.corrected
        )
        if all(row.passed for row in rows):
            return rows
    rounding = noise
    if moved := list(shifted()):
        noise = largest_of(noise, noise_of(oracle, moved, spread))
        for ceiling in (HELD_CEILING, STEEP_CEILING):
            if ceiling == HELD_CEILING or only_gradients(rows):
                loose = replace(policy, ceiling=ceiling)
                again = compare_semantics(
                    oracle, flax, noise, longest_sum(twin), loose, roundings.subtracted, spread, roundings.corrected
                )
                rows = excused(rows, again)
    return steep_here(rows, told, rounding, policy)


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
