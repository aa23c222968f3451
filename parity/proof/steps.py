"""Single steps: each starts from the state in which PyTorch has been, on both sides, and every tensor is compared."""

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.classes import compare_classes
from parity.compare.fitted import Fit
from parity.compare.idle_slots import without_idle_slots
from parity.compare.probes import most_probes
from parity.compare.rows import Row, passed
from parity.compare.semantics import told_sharply
from parity.environment import jax_device, torch_device
from parity.proof.checking import Checking
from parity.proof.detached_inputs import detached_inputs
from parity.proof.epsilons import with_other_epsilons
from parity.proof.idle_bounds import Bounds
from parity.proof.input_gradients import reached, without_marks
from parity.proof.judging import (
    Roundings,
    check_finite,
    check_repeatable,
    disturbed_steps,
    held_by,
    precise,
    running_still,
    semantics,
)
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import rounded
from parity.twin.twin import State, Twin

RowsByTier = dict[str, list[Row]]


@dataclass(frozen=True)
class Sides:
    """The runs of both sides: PyTorch's in float64 is the oracle.

    torch, flax: by tier
    """

    torch_device: str
    jax_device: Any
    exact: TorchRun
    torch: dict[str, TorchRun]
    flax: dict[str, FlaxRun]

    @classmethod
    def of(cls, twin: Twin, checking: Checking) -> "Sides":
        """Returns both sides ready to be run; nothing is compiled yet."""
        jax_side = jax_device(checking.device)
        torch_side = torch_device(checking.device)
        exact = TorchRun(twin, "float64", torch_side)
        return cls(
            torch_side,
            jax_side,
            exact,
            {tier: exact if tier == "float64" else TorchRun(twin, tier, torch_side) for tier in checking.tiers},
            {tier: FlaxRun(twin, tier, jax_side, checking.tf32) for tier in checking.tiers},
        )


class Step(NamedTuple):
    """A step that PyTorch has taken: its states before and after, its record, and what rounds it besides noise."""

    number: int
    before: State
    after: State
    oracle: Record
    roundings: Roundings


@dataclass
class Kept:
    """By tier, what of PyTorch's oracle and of Flax's run is still needed: the steps that fail.

    unreached: inputs that no gradient reaches in PyTorch
    stopped: those that none reaches in Flax
    cut: those of which PyTorch detaches a part
    marks: inputs of whole numbers whose gradients differ
    bounds: those that PyTorch's model sets in the first step
    fit: the digits of constants at which the two have agreed
    """

    records: dict[str, tuple[Record, Record]] = field(default_factory=dict)
    unreached: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    bounds: Bounds = field(default_factory=Bounds)
    fit: Fit = field(default_factory=Fit)

    def keep(self, tier: str, oracle: Record, flax: Record, rows: list[Row]) -> None:
        """Adds the records of a step where they are needed."""
        left, right = self.records.setdefault(tier, ({}, {}))
        if not passed(rows):
            left |= oracle
            right |= flax


def single_steps(twin: Twin, checking: Checking, sides: Sides, kept: Kept) -> tuple[RowsByTier, list[State]]:
    """Compares one step after the other, and returns their rows and the states that PyTorch has been in."""
    rows: RowsByTier = {tier: [] for tier in sides.flax}
    states = [twin.start]
    for number in range(1, len(twin.batches) + 1):
        states.append(_single_step(twin, checking, sides, kept, number, states[-1], rows))
        for torch_run in {sides.exact, *sides.torch.values()}:
            torch_run.advance()
    return rows, states


def _single_step(
    twin: Twin, checking: Checking, sides: Sides, kept: Kept, number: int, state: State, rows: RowsByTier
) -> State:
    """Adds the rows of one step, and returns PyTorch's state after it; what is recorded goes, for it is gigabytes."""
    words = f"step {number} of {len(twin.batches)}"
    checking.listener(twin.name, f"{words}, PyTorch")
    with kept.bounds if number == 1 else nullcontext(), running_still(twin, number):
        oracle = sides.exact.taken(number, state)
    check_finite(twin, number, oracle)
    if number == 1:
        check_repeatable(twin, sides.torch_device, oracle)
    exact = sides.exact.state()
    after = rounded(exact)
    step = Step(number, state, after, oracle, Roundings.of(sides.exact, number, state))
    for tier in sides.flax:
        checking.listener(twin.name, f"{words}, {tier}")
        most = most_probes(rows)
        told = told_sharply(rows[tier], checking.policy) if tier == "float64" else ()
        rows[tier] += _rows_of_step(twin, checking, sides, kept, tier, step, most, told)
    return rounded(exact, {slot for run in sides.flax.values() for held in run.slots for slot in held.left_out})


def _rows_of_step(
    twin: Twin, checking: Checking, sides: Sides, kept: Kept, tier: str, step: Step, most: int, told: Collection[Key]
) -> list[Row]:
    """Takes Flax's step in one precision, and returns its rows.

    most: runs that measure the error of low precision
    told: what steps before have told in float64
    """
    run = sides.flax[tier]
    taking = step.number, step.before, step.after.slot_names
    flax = run.taken(*taking, step.after)
    before = kept.unreached | kept.stopped | kept.cut
    oracle, flax, unreached, stopped = reached(*_compared(step.oracle, flax, run), before)
    if tier != "float64":
        oracle, flax = without_measures(oracle), without_measures(flax)
    kept.unreached |= unreached
    kept.stopped |= stopped
    disturbed = partial(disturbed_steps, sides.torch[tier], step.number, step.before)
    if tier == "float64":
        held = partial(held_by, sides.exact, run, *taking, step.after)
        others = partial(with_other_epsilons, sides.exact, step.number, step.before) if step.number == 1 else tuple
        judge = partial(semantics, probes=checking.probes, held=held, fit=kept.fit, told=told, others=others)
    else:
        judge = partial(precise, tier=tier, probes=checking.probes, most=most)
    rows = judge(oracle, flax, twin, disturbed, checking.policy, step.roundings)
    if twin.classes:
        rows += compare_classes(oracle, flax, rows)
    rows, marks = without_marks(twin, rows)
    kept.marks |= marks
    if tier == "float64" and step.number == 1:
        kept.cut = detached_inputs(rows, twin, step.before, flax)
        rows = [row for row in rows if not (row.key.is_input and row.key.tensor in kept.cut)]
    kept.keep(tier, oracle, flax, rows)
    return rows


def first_step(twin: Twin, sides: Sides, states: Sequence[State]) -> tuple[Record, Record]:
    """Returns PyTorch's and Flax's record of the first step in float64, taken once more."""
    # A new run of PyTorch's: the schedulers of the others have gone on.
    oracle = TorchRun(twin, "float64", sides.torch_device).taken(1, states[0])
    run = sides.flax["float64"]
    flax = run.taken(1, states[0], states[1].slot_names, states[1])
    return reached(*_compared(oracle, flax, run))[:2]


def modeless(oracle: Record, flax: Record) -> bool:
    """Tells whether training and evaluation are the same to both models: equal outputs of a first step, no buffers.

    Flax's two programs may round differently.
    """
    if any(key.phase == "buffers" for key in (*oracle, *flax)):
        return False
    outputs = [key for key in oracle if key.phase == "evaluation" and key.is_output]
    pairs = [
        (record.get(key), record.get(key._replace(phase="forward"))) for record in (oracle, flax) for key in outputs
    ]
    return bool(outputs) and all(
        a is not None and b is not None and a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-14)
        for a, b in pairs
    )


def without_measures(record: Record) -> Record:
    """Returns a record without what metrics are made of: rounding may flip what they count, where scores are near.

    Which class wins is judged by its margin.
    """
    return {key: array for key, array in record.items() if not key.is_measure}


def _compared(oracle: Record, flax: Record, run: FlaxRun) -> tuple[Record, Record]:
    """Returns both records without slots that have no counterpart; some of Optax's optimisers do not count."""
    left_out = {slot for held in run.slots for slot in held.left_out}
    if not any(key.slot == "step" for key in flax):
        left_out.add("step")
    return without_idle_slots({key: array for key, array in oracle.items() if key.slot not in left_out}, flax)
