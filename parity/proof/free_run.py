"""All steps in a row: how far both frameworks drift, judged by how far PyTorch's own rounding makes it drift."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.constants import excused, shifted_records
from parity.compare.policy import UNIT, Policy
from parity.compare.probes import MOST_PROBES, largest_of, low_probes, noise_of
from parity.compare.rows import Row, row
from parity.compare.semantics import compare_semantics
from parity.result import Distance
from parity.sides.constants import one_digit, shifting, torch_constants
from parity.sides.disturb import one_ulp
from parity.sides.disturb_operations import by_an_ulp
from parity.sides.flax import FlaxRun
from parity.sides.torch_runs import free_run_torch
from parity.sides.torch_tensors import joined
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin

PROBES = 2


def free_run(
    twin: Twin, runs: Mapping[str, FlaxRun], device: str, policy: Policy, corrected: float = math.inf
) -> tuple[dict[str, list[Row]], list[Distance]]:
    """Rows for each tier, and the distances over time.

    float64: every tensor after the last step, against the noise that one ulp at the start becomes.
    float32: the distance of all parameters to the float64 run, against PyTorch's own.

    corrected: the 1 - beta by which an optimiser such as Adam divides its first step; see `compare_precision`
    """
    oracle = free_run_torch(twin, "float64", device)
    free = {tier: run.free() for tier, run in runs.items() if tier != "bfloat16"}  # where a free run is chaos
    rows: dict[str, list[Row]] = {}
    trajectory: list[Distance] = []
    if "float64" in free:
        rows["float64"] = _semantics(twin, oracle, free["float64"], runs["float64"], device, policy)
    if low := next((tier for tier in free if tier == "float32"), None):
        rows[low], trajectory = _precision(twin, oracle, free, low, device, policy, corrected)
    return rows, trajectory


def _semantics(twin: Twin, oracle: Record, flax: Record, run: FlaxRun, device: str, policy: Policy) -> list[Row]:
    chaotic = replace(policy, ceiling=math.inf)  # what is the same mathematics, the single steps have told
    end = len(twin.batches)
    noise: dict[Key, float] = {}
    rows: list[Row] = []
    last = _last(oracle, end)
    for seeds, operations in ((range(PROBES), False), (range(PROBES, MOST_PROBES), False), (range(PROBES), True)):
        disturbs = (by_an_ulp(seed, operations=operations) for seed in seeds)
        disturbed = (_last(free_run_torch(twin, "float64", device, disturb), end) for disturb in disturbs)
        noise = largest_of(noise, noise_of(last, disturbed))
        rows = compare_semantics(last, _last(flax, end), noise, longest_sum(twin), chaotic)
        if all(row.passed for row in rows):
            return rows
    moved = (_last(record, end) for record in _shifted(twin, oracle, flax, run, device))
    noise = largest_of(noise, noise_of(last, moved))
    return excused(rows, compare_semantics(last, _last(flax, end), noise, longest_sum(twin), chaotic))


def _shifted(twin: Twin, oracle: Record, flax: Record, run: FlaxRun, device: str) -> Iterator[Record]:
    """Yields free runs of both sides whose constants are moved by a digit of float32, where a model holds some."""

    def theirs(seed: int) -> Record:
        return free_run_torch(twin, "float64", device, shift=one_digit(seed))

    def ours(seed: int) -> Record:
        with shifting(run, one_digit(seed)):
            return run.free()

    held = torch_constants(twin.torch.model, twin.leaves)
    return shifted_records(oracle, flax, range(PROBES), theirs if held else None, ours if run.constants else None)


def _precision(
    twin: Twin, oracle: Record, free: Mapping[str, Record], low: str, device: str, policy: Policy, corrected: float
) -> tuple[list[Row], list[Distance]]:
    way = Way.of(twin, oracle)
    plain: Record = {}
    reference = [0.0] * len(twin.batches)
    rows: list[Row] = []
    trajectory: list[Distance] = []
    for seeds, ulps in low_probes(policy, PROBES):  # a unit may flip in one run of many
        for seed in seeds:
            run = free_run_torch(twin, low, device, one_ulp(seed, ulps))
            plain = run if seed < 0 else plain
            reference = [max(r, way.apart(oracle, run, n) / ulps) for n, r in enumerate(reference, 1)]
        trajectory = [
            _distances(way, oracle, free, low, plain, number, worst) for number, worst in enumerate(reference, 1)
        ]
        rows = [_row(twin, low, d, policy, corrected) for d in trajectory]
        if all(row.passed for row in rows):
            break
    return rows, trajectory


@dataclass(frozen=True)
class Way:
    """The way that all parameters have gone from their start after each step: the scale of every distance."""

    names: tuple[str, ...]
    lengths: tuple[float, ...]

    @classmethod
    def of(cls, twin: Twin, oracle: Record) -> "Way":
        trained = twin.moved
        start = joined(trained, twin.start.tensors)
        steps = range(1, len(twin.batches) + 1)
        squares = (
            sum(np.sum((oracle[Key(step, "after", name)] - a) ** 2.0) for name, a in start.items()) for step in steps
        )
        return cls(tuple(start), tuple(float(np.sqrt(square)) for square in squares))

    def apart(self, one: Record, other: Record, step: int) -> float:
        """The distance between the parameters of two runs after a step."""
        keys = [Key(step, "after", name) for name in self.names]
        square = sum(np.sum((one[key].astype(np.float64) - other[key]) ** 2) for key in keys)
        return float(np.sqrt(square)) / (self.lengths[step - 1] or 1.0)


def _distances(
    way: Way, oracle: Record, free: Mapping[str, Record], low: str, plain: Record, step: int, reference: float
) -> Distance:
    exact = way.apart(oracle, free["float64"], step) if "float64" in free else math.nan
    flax = free[low]
    return Distance(step, reference, way.apart(oracle, flax, step), way.apart(plain, flax, step), exact)


def _row(twin: Twin, low: str, found: Distance, policy: Policy, corrected: float) -> Row:
    longest = longest_sum(twin)
    limit = policy.ratio * found.torch32 + policy.sums * math.sqrt(longest) * UNIT[low]
    because = f"{policy.ratio:g} x PyTorch's {found.torch32:.1e} + {policy.sums:g} x sqrt({longest}) ulp"
    if math.isfinite(corrected):
        limit += UNIT[low] / corrected
        because += " + ulp of 1 - beta"
    key = Key(found.step, "free run", f"all parameters after step {found.step}")
    return row(key, found.flax32, limit, because)


def _last(record: Record, step: int) -> Record:
    return {key: array for key, array in record.items() if key.step == step}
