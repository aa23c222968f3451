"""Rows that a constant may excuse: what a model holds in float32 is known to a digit of float32 only."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity.arrays.key import Record
from parity.compare.rows import Row

HELD = "a constant that a model holds in float32 moves it as much"
HELD_CEILING = 1e-5


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


def excused(rows: list[Row], again: list[Row]) -> list[Row]:
    """Returns the rows; where one has failed and has passed with the constants' noise, that one."""
    pairs = zip(rows, again, strict=True)
    return [replace(b, because=f"{b.because}: {HELD}") if b.passed and not a.passed else a for a, b in pairs]
