"""The order of rows: the earliest phase of a training run first, for what fails there makes the rest fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from parity.arrays.key import OF_A_STEP
from parity.compare.rows import Row

if TYPE_CHECKING:
    from parity.result import Result

AFTERWARDS = 10**6


def place(row: Row) -> tuple[int, int]:
    """Place of a row as (step, phase within the step); runs of several steps last, then layers on their own."""
    key = row.key
    if key.layer:
        return AFTERWARDS + 2, 0
    if key.phase in ("after", "free run"):
        return AFTERWARDS + (key.phase == "free run"), 0
    return key.step, 2 * OF_A_STEP.index(key.phase) + (key.tensor == "loss")


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sorts rows, the earliest phase first; within a phase as they came."""
    return sorted(rows, key=place)


def phases(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Groups rows as {phase: its rows}, the earliest phase first."""
    by_phase: dict[str, list[Row]] = {}
    for row in in_order(rows):
        by_phase.setdefault(row.phase, []).append(row)
    return by_phase


def failures(result: Result) -> Iterator[tuple[str, Row]]:
    """Yields (tier, row) of every failure: first the tier that tells the mathematics, in it the earliest phase."""
    for tier, rows in result.rows.items():
        yield from ((tier, row) for row in in_order(rows) if not row.passed)


def ratio(row: Row) -> float:
    """The gap over the threshold: above 1 the row fails."""
    return row.gap / max(row.threshold, 1e-300)
