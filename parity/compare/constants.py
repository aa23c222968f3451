"""Rows that a constant may excuse: what a model holds in float32 is known to a digit of float32 only."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import Row

HELD = "a constant that a model holds in float32 moves it as much"
HELD_CEILING = 1e-5
STEEP_CEILING = 1e-4  # of gradients where all else is right: those of a logarithm near 0 feel a digit that much more
GRADIENTS = ("gradients", "update", "optimizer")


def shifted_records(
    oracle: Record,
    flax: Record,
    seeds: Sequence[int],
    theirs: Callable[[int], Record] | None,
    ours: Callable[[int], Record] | None,
) -> Iterator[Record]:
    """Yields PyTorch's record with its constants shifted, then the oracle moved by as much as Flax's is.

    theirs, ours: seed of the shift -> the record; None where the side holds no constants
    """
    if theirs:
        yield from map(theirs, seeds)
    if ours:
        yield from (_beside(oracle, flax, ours(seed)) for seed in seeds)


def _beside(oracle: Record, flax: Record, moved: Record) -> Record:
    """Returns the oracle moved by as much as Flax's record was."""
    common = [key for key in oracle if key in flax and np.shape(oracle[key]) == np.shape(flax[key])]
    return oracle | {key: oracle[key] + (moved[key].astype(np.float64) - flax[key]) for key in common}


def only_gradients(rows: list[Row]) -> bool:
    """Tells whether gradients are wrong, or what comes of them, and nothing else."""
    wrong = [row for row in rows if not row.passed]
    return bool(wrong) and all(row.key.phase in GRADIENTS for row in wrong)


def limits_at_zero(rows: list[Row]) -> dict[Key, float]:
    """Returns the limits of gradients that a constant moves, as they were granted without numbers that are 0."""
    return {row.key: row.threshold for row in rows if row.key.phase == "gradients" and row.because.endswith(HELD)}


def excused(rows: list[Row], again: list[Row]) -> list[Row]:
    """Returns the rows; where one has failed and has passed with the constants' noise, that one."""
    pairs = zip(rows, again, strict=True)
    return [replace(b, because=f"{b.because}: {HELD}") if b.passed and not a.passed else a for a, b in pairs]
