"""The order of rows: the earliest phase of a training run first, for what fails there makes the rest fail."""

import re
from collections.abc import Iterable, Iterator

from parity.compare.rows import Row
from parity.result import Result

WITHIN_A_STEP = ("evaluation", "forward", "loss", "gradients", "buffers", "update", "optimizer")
AFTERWARDS = 10**6


def place(row: Row) -> tuple[int, int]:
    """Place of a row as (step, phase within the step); runs of several steps last, then layers on their own."""
    if row.phase.startswith("layer "):
        return AFTERWARDS + 2, 0
    if row.phase == "free run":
        return AFTERWARDS + 1, 0
    if row.phase.startswith("after "):
        return AFTERWARDS, 0
    match = re.match(r"step (\d+) ?(.*)", row.phase)
    step, phase = (int(match[1]), match[2]) if match else (1, row.phase)
    phase = "loss" if row.name == "loss" else phase
    return step, WITHIN_A_STEP.index(phase) if phase in WITHIN_A_STEP else len(WITHIN_A_STEP)


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
