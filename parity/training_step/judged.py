"""Each step from PyTorch's state: both records, and the rows that they become."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from d2l_jax.errors import InputError
from parity.arrays.key import Key, Record
from parity.compare.fitted import Fit, Held
from parity.compare.idle_slots import without_idle_slots
from parity.compare.policy import Policy
from parity.compare.probes import most_probes
from parity.compare.rows import Row
from parity.compare.scale import rms
from parity.proof.judging import Roundings, precise, semantics
from parity.sides.constants import Shift
from parity.sides.disturb_layers import Disturb
from parity.sides.disturb_operations import by_an_ulp
from parity.training_step.constants import constants_of
from parity.training_step.jax_state import Leaves
from parity.training_step.pair import StepPair, in_tier, shared_losses
from parity.training_step.seen import Seen
from parity.training_step.torch_memory import Snapshot, rounded


@dataclass(frozen=True)
class Outcome:
    """The outcome of one step on both sides, with what blame needs of it.

    start:         of PyTorch's
    before, after: of JAX's
    """

    number: int
    tier: str
    start: Snapshot
    before: Leaves
    after: Leaves
    seen: Seen
    oracle: Record
    flax: Record
    rows: list[Row]


@dataclass
class Steps:
    """The outcome of all steps, each from PyTorch's state; the digits of constants at which both have agreed."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    fit: Fit = field(default_factory=Fit)


def single_steps(pair: StepPair, tiers: tuple[str, ...], policy: Policy) -> Steps:
    """Takes each step from the state in which PyTorch has been, and compares."""
    steps = Steps({tier: [] for tier in tiers})
    start = rounded(pair.torch.original)
    pair.torch.put(start, "float64")
    carried = dict.fromkeys(tiers, pair.begun())
    for number in range(1, len(pair.batches) + 1):
        pair.torch.put(start, "float64")
        forced = {tier: equalised(pair, carried[tier], tier) for tier in tiers}
        seen, oracle = torch_taken(pair, number, start, "float64")
        following = pair.torch.memory.taken()
        _check_finite(number, oracle)
        if number == 1:
            _check_repeatable(oracle, torch_taken(pair, number, start, "float64")[1])
        for tier in tiers:
            flax, carried[tier] = _jax_taken(pair, number, forced[tier], tier, oracle)
            both = shared_losses(oracle, flax)
            most = most_probes(steps.rows)
            taken = Taken(pair, number, start, following, forced[tier], carried[tier])
            rows = _rows(taken, tier, *both, seen, policy, most, steps.fit)
            steps.rows[tier] += rows
            steps.outcomes.append(Outcome(number, tier, start, forced[tier], carried[tier], seen, *both, rows))
        start = rounded(following, pair.held.left_out)
    return steps


def equalised(pair: StepPair, leaves: Leaves, tier: str) -> Leaves:
    """Returns JAX's leaves with PyTorch's present numbers."""
    with in_tier(tier):
        return pair.equalised(leaves, tier)


def torch_taken(
    pair: StepPair, number: int, start: Snapshot, dtype: str, disturb: Disturb = np.asarray
) -> tuple[Seen, Record]:
    """Takes PyTorch's step from a state, disturbed; returns what happened in it, and the record."""
    pair.torch.put(start, dtype, disturb)
    with pair.torch.watched() as seen:
        seen.before = pair.torch.parameters()
        record = pair.torch.taken(number, dtype, disturb)
    applied = {name: gradient for call in seen.applied for name, gradient in call.items()}
    gradients = {name: applied.get(name, np.zeros_like(array)) for name, array in seen.before.items()}
    record |= {Key(number, "gradients", name): array for name, array in gradients.items()}
    return seen, pair.torch_record(record)


def _jax_taken(pair: StepPair, number: int, before: Leaves, tier: str, oracle: Record) -> tuple[Record, Leaves]:
    slots = {key.slot for key in oracle if key.phase == "optimizer"}
    with in_tier(tier):
        after, returned = pair.jax_taken(number, before, tier)
        if number == 1:
            pair.verify(before, after, oracle)
        return pair.jax_record(number, before, after, returned, slots, tier), after


def _check_finite(number: int, oracle: Record) -> None:
    for key, array in oracle.items():
        if key.phase == "forward" and not np.isfinite(array).all():
            raise InputError(f"torch_step returns {key.tensor} = {float(array)} at step {number}; a number is right")


def _check_repeatable(first: Record, second: Record) -> None:
    for key, array in first.items():
        scale = np.max(np.abs(array), initial=1e-300)
        if key not in second or np.max(np.abs(array - second[key]), initial=0.0) > 1e-9 * scale:
            raise InputError(
                f"torch_step is not repeatable: two runs from one state differ in {key}; what it changes besides its"
                ' arguments belongs into torch_state={"name": object}'
            )


class Taken(NamedTuple):
    """A step as both sides have taken it in float64, to be taken once more with what they hold moved.

    start, end:    of PyTorch's
    before, after: of JAX's
    """

    pair: StepPair
    number: int
    start: Snapshot
    end: Snapshot
    before: Leaves
    after: Leaves

    def held(self, oracle: Record, flax: Record) -> Held:
        """Returns how both sides take the step once more with their constants moved."""
        pair, number = self.pair, self.number
        constants = constants_of(pair, [number], (self.start, self.end), (self.before, self.after))
        slots = {key.slot for key in oracle if key.phase == "optimizer"}

        def theirs(shift: Shift) -> Record:
            return torch_taken(pair, number, constants.of_torch(self.start, shift), "float64")[1]

        def ours(shift: Shift) -> Record:
            with in_tier("float64"):
                before = constants.of_jax(self.before, shift)
                after, returned = constants.jax_taken(number, before, shift)
                record = pair.jax_record(number, before, after, returned, slots, "float64")
            return shared_losses(oracle, record)[1]

        sides = theirs if constants.torch else None, ours if constants.in_jax else None
        return Held(*sides, backward=("optimizer", "update"))  # JAX's gradients are not seen


def _rows(
    taken: Taken, tier: str, oracle: Record, flax: Record, seen: Seen, policy: Policy, most: int, fit: Fit
) -> list[Row]:
    pair, number, start = taken[:3]
    if not any(key.slot == "step" for key in flax):  # some of Optax's optimisers do not count
        oracle = {key: array for key, array in oracle.items() if key.slot != "step"}
    oracle = {key: a for key, a in oracle.items() if key.phase != "optimizer" or key.slot not in pair.held.left_out}
    oracle, flax = without_idle_slots(oracle, flax)
    flax = {key: a for key, a in flax.items() if key in oracle or key.phase != "optimizer" or a.any()}  # not begun yet
    # The gradients that PyTorch's optimiser meets are hidden in JAX: no row, but the scale of the updates' rounding.
    flax = flax | {key: array.astype(tier) for key, array in oracle.items() if key.phase == "gradients"}

    def disturbed(seeds: range, ulps: int = 1, operations: bool = False) -> Iterator[Record]:
        disturbs = (by_an_ulp(seed, pair.ulps(ulps, tier), operations) for seed in seeds)
        return (torch_taken(pair, number, start, tier, disturb)[1] for disturb in disturbs)

    exact: Any = partial(semantics, held=partial(taken.held, oracle, flax), fit=fit)
    judge: Any = exact if tier == "float64" else partial(precise, tier=tier, most=most)
    roundings = _roundings(pair, oracle, seen, number, tier)
    rows = judge(oracle, flax, pair.problem, disturbed, policy, roundings)
    return [row for row in rows if row.key.phase != "gradients"]


def _roundings(pair: StepPair, oracle: Record, seen: Seen, number: int, tier: str) -> Roundings:
    """Returns the sources of rounding of an update beside the noise of weights and inputs."""
    updates = [key for key in oracle if key.phase == "update"]
    before = pair.compared(seen.before)
    subtracted = {key: float(np.max(np.abs(before[key.tensor]), initial=0.0)) for key in updates}
    beta = seen.beta
    corrected = dict.fromkeys(updates, 1 - beta**number) if beta else {}
    if tier != "float64":  # PyTorch has 1 - beta^t in double precision, Optax in the state's
        subtracted |= {key: subtracted[key] + rms(oracle[key]) / one_minus for key, one_minus in corrected.items()}
        if beta and pair.roles.injected:  # its decays are numbers of float32, and so is what is left to 1
            slots = (key for key in oracle if key.phase == "optimizer")
            subtracted |= {key: rms(oracle[key]) / (1 - beta) for key in slots}
        for key in (key for key in oracle if key.phase == "buffers" and key.slot):  # an average of what was updated
            update = key._replace(phase="update", slot="")
            if update in corrected:
                subtracted[key] = min(rms(oracle[update]), rms(oracle[key])) / corrected[update]
    return Roundings(subtracted, corrected)
