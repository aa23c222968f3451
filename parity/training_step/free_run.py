"""All steps in a row on both sides, from the one start: how far they drift, judged by PyTorch's own drift."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.constants import excused, shifted_records
from parity.compare.fitted import Held
from parity.compare.policy import UNIT, Policy
from parity.compare.probes import high_probes, largest_of, low_probes, noise_of
from parity.compare.rows import Row, passed, row
from parity.compare.semantics import compare_semantics
from parity.proof.free_run import PROBES, Way
from parity.result import Distance
from parity.sides.constants import Shift, moves
from parity.sides.disturb import one_ulp
from parity.sides.disturb_operations import by_an_ulp
from parity.training_step.constants import constants_of
from parity.training_step.jax_state import Leaves
from parity.training_step.judged import equalised
from parity.training_step.pair import StepPair, in_tier
from parity.training_step.torch_memory import Snapshot, rounded
from parity.twin.pairing import longest_sum

Taking = Callable[[int, Leaves], tuple[Leaves, Any]]


def free_run(
    pair: StepPair, tiers: tuple[str, ...], policy: Policy, beta: float, most: int
) -> tuple[dict[str, list[Row]], list[Distance]]:
    """Returns rows for each tier, and the distances over time; the rules are those of `parity.check`.

    beta: the largest decay of a moment whose bias is corrected, or 0
    most: see `most_probes`
    """
    oracle = _torch(pair, "float64", -1)
    free = {tier: _jax(pair, tier, _beginning(pair, tier))[0] for tier in tiers}
    rows: dict[str, list[Row]] = {}
    trajectory: list[Distance] = []
    if "float64" in free:
        rows["float64"] = _semantics(pair, oracle, free["float64"], policy, most)
    if "float32" in free:
        rows["float32"], trajectory = _precision(pair, oracle, free, policy, beta, most)
    return rows, trajectory


def _torch(
    pair: StepPair,
    dtype: str,
    seed: int,
    ulps: int = 1,
    operations: bool = False,
    start: Snapshot | None = None,
) -> Record:
    ulps = pair.ulps(ulps, dtype)
    pair.torch.put(start or rounded(pair.torch.original), dtype, one_ulp(seed, ulps))
    record: Record = {}
    for number in range(1, len(pair.batches) + 1):
        pair.torch.taken(number, dtype, by_an_ulp(seed, ulps, operations))
        record |= pair.torch_tensors(number)
    return record


def _jax(pair: StepPair, dtype: str, leaves: Leaves, taken: Taking | None = None) -> tuple[Record, Leaves]:
    """Returns what JAX's steps from these leaves make, and the last of it.

    taken: takes the step of a number in its place
    """
    record: Record = {}
    for number in range(1, len(pair.batches) + 1):
        with in_tier(dtype):
            leaves, _ = taken(number, leaves) if taken else pair.jax_taken(number, leaves, dtype)
            record |= pair.jax_tensors(number, leaves)
    return record, leaves


def _beginning(pair: StepPair, dtype: str) -> Leaves:
    """Returns JAX's leaves with the numbers that PyTorch begins with."""
    pair.torch.put(rounded(pair.torch.original), dtype)
    return equalised(pair, pair.begun(), dtype)


def _semantics(pair: StepPair, oracle: Record, flax: Record, policy: Policy, most: int) -> list[Row]:
    chaotic = replace(policy, ceiling=math.inf)  # what is the same mathematics, the single steps have told
    end = len(pair.batches)
    noise: dict[Key, float] = {}
    rows: list[Row] = []
    last, flax = _last(oracle, end), _last(flax, end)
    for seeds, operations in high_probes(PROBES, PROBES, most):
        runs = (_last(_torch(pair, "float64", seed, operations=operations), end) for seed in seeds)
        noise = largest_of(noise, noise_of(last, runs))
        rows = compare_semantics(last, flax, noise, longest_sum(pair.problem), chaotic)
        if passed(rows):
            return rows
    noise = largest_of(noise, noise_of(last, _shifted(pair, last, flax)))
    return excused(rows, compare_semantics(last, flax, noise, longest_sum(pair.problem), chaotic))


def _shifted(pair: StepPair, oracle: Record, flax: Record) -> Iterator[Record]:
    """Yields the ends of free runs whose constants move by a digit of float32, as `parity.proof.free_run` does."""
    end = len(pair.batches)
    start = rounded(pair.torch.original)
    _torch(pair, "float64", -1)
    end_of_torch = pair.torch.memory.taken()
    begun = _beginning(pair, "float64")
    numbers = range(1, end + 1)
    ours_after = _jax(pair, "float64", begun)[1]
    constants = constants_of(pair, numbers, (start, end_of_torch), (begun, ours_after))

    def theirs(shift: Shift) -> Record:
        return _last(_torch(pair, "float64", -1, start=constants.of_torch(start, shift)), end)

    def ours(shift: Shift) -> Record:
        taken = partial(constants.jax_taken, shift=shift)
        return _last(_jax(pair, "float64", constants.of_jax(begun, shift), taken)[0], end)

    held = Held(theirs if constants.torch else None, ours if constants.in_jax else None)
    return shifted_records(oracle, flax, partial(moves, PROBES), held)


def _precision(
    pair: StepPair, oracle: Record, free: Mapping[str, Record], policy: Policy, beta: float, most: int
) -> tuple[list[Row], list[Distance]]:
    way = _way(pair, oracle)
    plain: Record = {}
    steps = range(1, len(pair.batches) + 1)
    errors = [0.0] * len(steps)
    rows: list[Row] = []
    trajectory: list[Distance] = []
    for seeds, ulps, operations in low_probes(policy, PROBES, most):
        for seed in seeds:
            run = _torch(pair, "float32", seed, ulps, operations)
            plain = run if seed < 0 else plain
            errors = [max(error, way.apart(oracle, run, n) / ulps) for n, error in zip(steps, errors, strict=True)]
        trajectory = [_distance(way, oracle, free, plain, n, errors[n - 1]) for n in steps]
        rows = [_row(pair, each, policy, beta) for each in trajectory]
        if all(each.passed for each in rows):
            break
    return rows, trajectory


def _way(pair: StepPair, oracle: Record) -> Way:
    """Returns how far all parameters have gone after each step."""
    pair.torch.put(rounded(pair.torch.original), "float64")
    start = pair.compared(pair.torch.parameters())
    squares = [
        sum(float(np.sum((oracle[Key(n, "after", name)] - array) ** 2)) for name, array in start.items())
        for n in range(1, len(pair.batches) + 1)
    ]
    return Way(tuple(start), tuple(map(math.sqrt, squares)))


def _distance(
    way: Way, oracle: Record, free: Mapping[str, Record], plain: Record, step: int, reference: float
) -> Distance:
    exact = way.apart(oracle, free["float64"], step) if "float64" in free else math.nan
    flax = free["float32"]
    return Distance(step, reference, way.apart(oracle, flax, step), way.apart(plain, flax, step), exact)


def _row(pair: StepPair, distance: Distance, policy: Policy, beta: float) -> Row:
    longest = longest_sum(pair.problem)
    limit = policy.ratio * distance.torch32 + policy.sums * math.sqrt(longest) * UNIT["float32"]
    because = f"{policy.ratio:g} x PyTorch's {distance.torch32:.1e} + {policy.sums:g} x sqrt({longest}) ulp"
    if beta:  # PyTorch has 1 - beta^t in double precision, Optax in the state's
        limit += UNIT["float32"] / (1 - beta)
        because += " + ulp / (1 - beta)"
    key = Key(distance.step, "free run", f"all parameters after step {distance.step}")
    return row(key, distance.flax32, limit, because)


def _last(record: Record, step: int) -> Record:
    return {key: array for key, array in record.items() if key.step == step}
