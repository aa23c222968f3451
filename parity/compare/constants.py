"""Rows that a constant may excuse: what a model holds in float32 is known to a digit of float32 only."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.fitted import Both, Fit, Held, Shift
from parity.compare.rows import Row

HELD = "a constant that a model holds in float32 moves it as much"
HELD_CEILING = 1e-5
STEEP_CEILING = 1e-4  # of gradients where all else is right: those of a logarithm near 0 feel a digit that much more
Judge = Callable[[Record, Record], list[Row]]
GRADIENTS = ("gradients", "update", "optimizer")


def shifted_records(
    oracle: Record, flax: Record, shifts: Callable[[], Iterable[Shift]], held: Held
) -> Iterator[Record]:
    """Yields PyTorch's record with its constants shifted, then the oracle moved by as much as Flax's is."""
    if held.theirs:
        yield from map(held.theirs, shifts())
    if held.ours:
        yield from (_beside(oracle, flax, held.ours(shift)) for shift in shifts())


def _beside(oracle: Record, flax: Record, moved: Record) -> Record:
    """Returns the oracle moved by as much as Flax's record was."""
    common = [key for key in oracle if key in flax and key in moved and np.shape(oracle[key]) == np.shape(flax[key])]
    return oracle | {key: oracle[key] + (moved[key].astype(np.float64) - flax[key]) for key in common}


def only_gradients(rows: list[Row]) -> bool:
    """Tells whether gradients are wrong, or what comes of them, and nothing else."""
    wrong = [row for row in rows if not row.passed]
    return bool(wrong) and all(row.key.phase in GRADIENTS for row in wrong)


def limits_at_zero(rows: list[Row]) -> dict[Key, float]:
    """Returns the limits of gradients that a constant moves, as they were granted without numbers that are 0."""
    return {row.key: row.threshold for row in rows if row.key.phase == "gradients" and row.because.endswith(HELD)}


def granted(rows: list[Row], loose: list[Row], nearer: Iterator[Both] | None, fit: Fit, judge: Judge) -> list[Row]:
    """Returns the loose rows; of those that have failed before, such as pass where the constants are fitted.

    nearer: see `fitted`; None where there are too many constants, so that their noise is all that is known
    """
    asked = {b.key for a, b in zip(rows, loose, strict=True) if b.passed and not a.passed}
    if not asked or nearer is None:
        return loose
    best: set[Key] = set()
    digits = fit.digits
    for both in nearer:
        right = {row.key for row in judge(*both) if row.passed and row.key in asked}
        if len(right) > len(best):
            best, digits = right, fit.digits
        if right == asked:
            break
    fit.digits = digits
    return [a if b.key in asked - best else b for a, b in zip(rows, loose, strict=True)]


def excused(rows: list[Row], again: list[Row]) -> list[Row]:
    """Returns the rows; where one has failed and has passed with the constants' noise, that one."""
    pairs = zip(rows, again, strict=True)
    return [replace(b, because=f"{b.because}: {HELD}") if b.passed and not a.passed else a for a, b in pairs]
