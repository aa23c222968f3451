"""All steps in a row: how far both frameworks drift, judged by how far PyTorch's own rounding makes it drift."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.constants import excused, shifted_records
from parity.compare.fitted import Held
from parity.compare.policy import UNIT, Policy
from parity.compare.probes import MOST_PROBES, high_probes, largest_of, low_probes, noise_of
from parity.compare.rows import Row, row
from parity.compare.semantics import compare_semantics
from parity.result import Distance
from parity.sides.constants import Shift, moves, shifting, torch_constants
from parity.sides.disturb_operations import by_an_ulp
from parity.sides.flax import FlaxRun
from parity.sides.torch_runs import free_run_torch
from parity.sides.torch_tensors import joined
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin

PROBES = 2


def free_run(
    twin: Twin,
    runs: Mapping[str, FlaxRun],
    device: str,
    policy: Policy,
    most: int = MOST_PROBES,
    corrected: float = math.inf,
) -> tuple[dict[str, list[Row]], list[Distance]]:
    """Rows for each tier, and the distances over time.

    float64: every tensor after the last step, against the noise that one ulp at the start becomes.
    float32: the distance of all parameters to the float64 run, against PyTorch's own.

    most:      see `most_probes`
    corrected: the 1 - beta by which an optimiser such as Adam divides its first step; see `compare_precision`
    """
    oracle = free_run_torch(twin, "float64", device)
    way = Way.of(twin, oracle)
    rows: dict[str, list[Row]] = {}
    trajectory: list[Distance] = []
    exact = Followed(way, oracle)
    if "float64" in runs:
        flax = runs["float64"].free(exact)
        rows["float64"] = _semantics(twin, oracle, flax, runs["float64"], device, policy, most)
    if "float32" in runs:  # in bfloat16 a free run is chaos
        flax = runs["float32"].free()
        rows["float32"], trajectory = _precision(
            twin, way, oracle, exact.distances, flax, device, policy, most, corrected
        )
    return rows, trajectory


def _semantics(
    twin: Twin, oracle: Record, flax: Record, run: FlaxRun, device: str, policy: Policy, most: int
) -> list[Row]:
    chaotic = replace(policy, ceiling=math.inf)  # what is the same mathematics, the single steps have told
    end = Last(len(twin.batches))
    noise: dict[Key, float] = {}
    rows: list[Row] = []
    last = end(oracle)
    for seeds, operations in high_probes(PROBES, PROBES, most):
        disturbs = (by_an_ulp(seed, operations=operations) for seed in seeds)
        disturbed = (free_run_torch(twin, "float64", device, disturb, keep=end) for disturb in disturbs)
        noise = largest_of(noise, noise_of(last, disturbed))
        rows = compare_semantics(last, flax, noise, longest_sum(twin), chaotic)
        if all(row.passed for row in rows):
            return rows
    noise = largest_of(noise, noise_of(last, _shifted(twin, last, flax, run, device, end)))
    return excused(rows, compare_semantics(last, flax, noise, longest_sum(twin), chaotic))


def _shifted(twin: Twin, oracle: Record, flax: Record, run: FlaxRun, device: str, end: "Last") -> Iterator[Record]:
    """Yields free runs of both sides whose constants are moved by a digit of float32, where a model holds some."""

    def theirs(shift: Shift) -> Record:
        return free_run_torch(twin, "float64", device, shift=shift, keep=end)

    def ours(shift: Shift) -> Record:
        with shifting(run, shift):
            return run.free(end)

    held = torch_constants(twin.torch.model, twin.leaves)
    runs = Held(theirs if held else None, ours if run.constants else None)
    return shifted_records(oracle, flax, partial(moves, PROBES), runs)


def _precision(
    twin: Twin,
    way: "Way",
    oracle: Record,
    exact: Sequence[float],
    flax: Record,
    device: str,
    policy: Policy,
    most: int,
    corrected: float,
) -> tuple[list[Row], list[Distance]]:
    """Returns the rows of float32 and the distances over time; exact: those of Flax in float64."""
    steps = range(1, len(twin.batches) + 1)
    ours = [way.apart(oracle, flax, step) for step in steps]
    between: list[float] = []
    reference = [0.0] * len(steps)
    rows: list[Row] = []
    trajectory: list[Distance] = []
    for seeds, ulps, operations in low_probes(policy, PROBES, most):  # a unit may flip in one run of many
        for seed in seeds:
            theirs = Followed(way, oracle, flax)
            free_run_torch(twin, "float32", device, by_an_ulp(seed, ulps, operations), keep=theirs)
            between = theirs.beside if seed < 0 else between
            reference = [max(r, distance / ulps) for r, distance in zip(reference, theirs.distances, strict=True)]
        trajectory = [Distance(*numbers) for numbers in zip(steps, reference, ours, between, exact, strict=True)]
        rows = [_row(twin, "float32", d, policy, corrected) for d in trajectory]
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


@dataclass
class Followed:
    """A run's distances from the oracle, and from another run; only what it holds at the end stays in memory."""

    way: Way
    oracle: Record
    other: Record | None = None
    distances: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def __call__(self, record: Record) -> Record:
        """Measures the record of a step, and returns what of it stays."""
        step = len(self.distances) + 1  # a record may be empty: some models hold no tensors
        self.distances.append(self.way.apart(self.oracle, record, step))
        if self.other is not None:
            self.beside.append(self.way.apart(record, self.other, step))
        return Last(len(self.way.lengths))(record)


@dataclass(frozen=True)
class Last:
    """Leaves of a record what belongs to the last step."""

    step: int

    def __call__(self, record: Record) -> Record:
        return {key: array for key, array in record.items() if key.step == self.step}


def _row(twin: Twin, low: str, found: Distance, policy: Policy, corrected: float) -> Row:
    longest = longest_sum(twin)
    limit = policy.ratio * found.torch32 + policy.sums * math.sqrt(longest) * UNIT[low]
    because = f"{policy.ratio:g} x PyTorch's {found.torch32:.1e} + {policy.sums:g} x sqrt({longest}) ulp"
    if math.isfinite(corrected):
        limit += UNIT[low] / corrected
        because += " + ulp of 1 - beta"
    key = Key(found.step, "free run", f"all parameters after step {found.step}")
    return row(key, found.flax32, limit, because)
