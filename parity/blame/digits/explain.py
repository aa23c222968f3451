"""Which lines of Flax's lose the digits: with exact results there, float32 is as precise as PyTorch's.

float64 agrees, or differs as rounding does. Each equation of Flax's float32 program is computed beside its exact
result; those that lose digits get it in their place, one line after another, until what was wrong is right. Lines that
do not matter are then left out: both frameworks lose the digits of a number less its mean.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import jax
import numpy as np

from parity.arrays.key import Key, Record
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import Cause
from parity.blame.digits.kinds import NORMS, Kind, kind_of
from parity.blame.digits.shadow import Exact, Lossy, Low
from parity.blame.source import Source, source_of
from parity.compare.policy import POLICY, UNIT
from parity.compare.rows import Row, passed
from parity.compare.scale import relative_gap
from parity.result import BODY, Blame
from parity.sides.otherwise import OtherwiseRun
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin

MOST_LINES = 12
MOST_EQUATIONS = 3000
MOST_NUMBERS = 2**26  # that the program computes
SHARE = 0.25  # of the gap that may be left
ROUNDING = 100.0  # times more or fewer digits than another precision has lost
ALL_LOST = 0.3  # a gap of no digits
PHASES = ("evaluation", "forward", "gradients")
Place = tuple[Source, str]
Run = Callable[[Callable], Record]


@dataclass(frozen=True)
class Trials:
    """A program of Flax's in float32, run as often as is asked with exact results in the place of some equations'.

    limits: of what is wrong
    """

    low: Run
    exact: Mapping[int, list[np.ndarray]]
    oracle: Record
    limits: Mapping[Key, float]
    floor: float

    def gap(self, replaced: frozenset[int]) -> tuple[float, float, Low]:
        """Returns the largest gap, the largest in terms of its limit, and the run."""
        steps = Low(self.exact, replaced, self.floor)
        record = self.low(steps)
        gaps = {key: relative_gap(self.oracle[key], record[key]) for key in self.limits}
        return max(gaps.values()), max(gap / self.limits[key] for key, gap in gaps.items()), steps


def with_digits(guilty: Blame | None, twin: Twin, rows: Mapping[str, Sequence[Row]]) -> Blame | None:
    """Returns the blame; where it has no cause, with the lines of Flax's that lose digits in float32, if these are all.

    rows: of all precisions
    """
    low = rows.get("float32", ())
    wrong = first_wrong(low)
    if not wrong or wrong[0].key.step > 1 or (guilty and guilty.cause):
        return guilty
    cause = None
    with suppress(*UNFIT):
        cause = explain_digits(twin, wrong)
    if cause is None:
        return guilty
    exact = first_wrong(rows.get("float64", ()))
    if guilty and (like_rounding(exact, low) or _overflows(exact, cause) or passed(rows.get("float64", ()))):
        told = f"{guilty.text}{'; ' if guilty.others else ': '}{cause.text}"
        return replace(guilty, cause=cause.name, text=told)
    phase = wrong[0].key.phase
    found = Blame.because(cause, "", "backward" if phase == "gradients" else phase, BODY)
    return guilty.with_others([found]) if guilty else found


def like_rounding(exact: Sequence[Row], low: Sequence[Row]) -> bool:
    """Tells whether float64 is wrong by as many of its digits as float32 is of its own."""
    gaps = {row.key: row.gap for row in low}
    worst = max((row for row in exact if row.key in gaps), key=lambda row: row.gap, default=None)
    if worst is None or not math.isfinite(worst.gap):
        return False
    expected = worst.gap * UNIT["float32"] / UNIT["float64"]
    return min(expected / ROUNDING, ALL_LOST) <= gaps[worst.key] <= ROUNDING * expected


def _overflows(exact: Sequence[Row], cause: Cause) -> bool:
    """Tells whether float64 is not finite either, in a later step with larger numbers."""
    return cause.name in ("overflow", "underflow") and bool(exact) and all(math.isinf(row.gap) for row in exact)


def explain_digits(twin: Twin, wrong: Sequence[Row], dtype: str = "float32") -> Cause | None:
    """Returns the lines of Flax's that lose all the digits that are missing in the first step's outputs or gradients.

    wrong: rows of that precision
    """
    floor = POLICY.sums * math.sqrt(longest_sum(twin)) * UNIT[dtype]
    limits = {row.key: row.threshold or 16 * floor for row in wrong}
    trials = _trials(twin, limits, floor, dtype)
    return _searched(trials) if trials else None


def first_wrong(rows: Sequence[Row]) -> list[Row]:
    """Returns what is wrong in the first step, and in its first phase, in which anything is."""
    bad = [row for row in rows if not row.passed and row.key.phase in PHASES and not row.key.layer]
    bad = [row for row in bad if not row.key.is_made_of_outputs]
    first = min(((row.key.step, PHASES.index(row.key.phase)) for row in bad), default=None)
    return [row for row in bad if (row.key.step, PHASES.index(row.key.phase)) == first]


def _trials(twin: Twin, limits: dict[Key, float], floor: float, dtype: str) -> Trials | None:
    oracle = TorchRun(twin, "float64", "cpu").taken(1, twin.start)
    evaluation = any(key.phase == "evaluation" for key in limits)

    def of(dtype: str) -> Run:
        run = OtherwiseRun(twin, dtype, jax.devices("cpu")[0])
        by = run.evaluation_by if evaluation else run.first_step_by
        return lambda steps: by(steps, twin.start)

    low = of(dtype)
    signatures, exact = Exact(keeps=False), Exact()
    low(signatures)
    sizes = [math.prod(shape) for _, shapes in signatures.signatures for shape in shapes]
    if len(sizes) > MOST_EQUATIONS or sum(sizes) > MOST_NUMBERS:
        return None
    of("float64")(exact)
    return Trials(low, exact.beside(signatures.signatures), oracle, limits, floor)


def _searched(trials: Trials) -> Cause | None:
    before, share, run = trials.gap(frozenset())
    if share <= 1:  # the compiler's doing, not the program's
        return None
    lines: dict[Place, list[Lossy]] = {}
    kinds: dict[Place, Kind] = {}

    def right(left: Mapping[Place, list[Lossy]]) -> tuple[bool, float, Low]:
        gap, share, run = trials.gap(frozenset(each.number for some in left.values() for each in some))
        return share <= 1 and gap <= SHARE * before, gap, run

    done, gap = False, before
    while not done:
        place = next((place for each in run.lossy if (place := _place(each)) is not None), None)
        if place is None or len(lines) == MOST_LINES:
            return None
        some = [each for each in run.lossy if _place(each) == place]
        kinds.setdefault(place, kind_of(some[0], run.overflow))
        lines[place] = lines.get(place, []) + some
        done, gap, run = right(lines)
    for place in list(lines):
        fewer = {other: some for other, some in lines.items() if other != place}
        if fewer and (outcome := right(fewer))[0]:
            lines, gap = fewer, outcome[1]
    return _told([(place, kinds[place]) for place in lines], before, gap)


def _place(lossy: Lossy) -> Place | None:
    source = source_of(lossy.equation)
    return (source, lossy.equation.primitive.name) if source else None


def _told(lines: Sequence[tuple[Place, Kind]], before: float, after: float) -> Cause:
    names = list(dict.fromkeys(kind.name for _, kind in lines))
    told = list(dict.fromkeys(f"{source} {_words(source, kind)}" for (source, _), kind in lines))
    gap = f"the gap falls from {before:.0e} to {after:.0e}" if math.isfinite(before) else "all is right"
    text = f"in float32 Flax's {'; '.join(told)}; with exact results there {gap}"
    return Cause("+".join(names), text, after)


def _words(source: Source, kind: Kind) -> str:
    if kind.name == "fast-variance" and source.inside in NORMS:
        return f"{kind.words}; use_fast_variance=False is right"
    return kind.words
