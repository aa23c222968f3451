"""Results in words: a row, the first guilty place, all results in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from parity.compare.rows import Row
from parity.report.coverage import Coverage, coverage

if TYPE_CHECKING:
    from parity.result import Result

if TYPE_CHECKING:
    from parity.start.compare import Started

MOST = 4  # tensors whose start a text names


def describe(row: Row) -> str:
    """Writes a row as `forward/output: gap 1.0e-03, threshold 4.0e-15 (16 x noise ...)`."""
    return f"{row.key}: gap {row.gap:.1e}, threshold {row.threshold:.1e} ({row.because})"


def first_wrong(result: Result) -> str:
    """The first guilty place and its cause; "" where nobody is blamed."""
    return f"first wrong: {result.blame.text}" if result.blame else ""


def about_start(result: Result) -> str:
    """The tensors that fresh models start otherwise, in one line; "" where both start alike."""
    differing = [each for each in result.start if not each.same]
    return f"fresh models differ: {differing_starts(differing)}" if differing else ""


def differing_starts(differing: Sequence[Started]) -> str:
    """Returns the tensors that start otherwise, in words; those that differ alike are told once."""
    groups: dict[tuple[str, str], list[Started]] = {}
    for each in differing:
        groups.setdefault((each.flax, each.torch), []).append(each)
    lines = [str(each[0]) + _more(each) for each in groups.values()]
    return "; ".join(lines[:MOST]) + (f"; ... and {len(lines) - MOST} more" if len(lines) > MOST else "")


def _more(alike: Sequence[Started]) -> str:
    return f" (and {len(alike) - 1} like it)" if len(alike) > 1 else ""


def total(results: list[Result]) -> Coverage:
    """The coverage of all results together."""
    return sum(map(coverage, results), Coverage())


def tiers_of(results: list[Result]) -> list[str]:
    """Lists the precisions of a report: float64 and what else was compared; with no rows, the usual two."""
    compared = dict.fromkeys(tier for result in results for tier in result.rows)
    return ["float64", *(tier for tier in compared or ("float32",) if tier != "float64")]


def blunt_rows(result: Result, tier: str) -> int:
    """Counts the comparisons of a precision that are too ill-conditioned to tell: gross errors alone would show."""
    return sum(row.blunt for row in result.rows.get(tier, ()))


def summary(results: list[Result]) -> str:
    """Tells how many passed, what was compared, and the largest float64 gap of the run with its place and its limit."""
    passed = sum(r.status == "pass" for r in results)
    counts = total(results)
    text = f"{passed} of {len(results)} cases pass"
    if not counts.rows:
        return text
    if counts.blunt:
        low = " and ".join(tier for tier in tiers_of(results) if tier != "float64")
        text += f" (in {low}, {counts.blunt} tensors are so ill-conditioned that only gross errors would show)"
    text += f"; {counts.rows:,} comparisons: {counts}"
    rows = [(row, r) for r in results for row in r.rows.get("float64", []) if math.isfinite(row.gap)]
    single = [pair for pair in rows if not _in_a_row(pair[0]) and pair[0].key.phase != "start"]
    text += _largest("the largest float64 gap is", single) if single else ""
    drifted = [pair for pair in rows if _in_a_row(pair[0])]
    return text + (_largest("after several steps in a row it is", drifted) if drifted else "")


def _in_a_row(row: Row) -> bool:
    """Tells a row of a free run, in which the model amplifies every rounding error."""
    return row.key.phase == "after"


def _largest(what: str, rows: list[tuple[Row, Result]]) -> str:
    row, result = max(rows, key=lambda pair: pair[0].gap)
    probes = result.settings.get("probes")
    noise = f", noise of {probes} probes or more" if probes and "noise" in row.because else ""
    where = f"{result.name}, {row.key}; threshold {row.threshold:.1e}: {row.because}{noise}"
    return f"; {what} {row.gap:.1e} ({where})"
