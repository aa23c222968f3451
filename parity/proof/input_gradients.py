"""Gradients of a model's inputs: those that one side stops, and those of masks, are no reason for a verdict."""

from collections.abc import Collection, Sequence

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import Row
from parity.twin.other_batches import is_whole
from parity.twin.twin import Twin

NONE = 1e-13  # of the other side's: zero but for rounding, as in `scales_of`


def reached(oracle: Record, flax: Record, unreached: Collection[str] = ()) -> tuple[Record, Record, set[str], set[str]]:
    """Returns both records without the gradients of inputs that one side stops, and their names in PyTorch and in Flax.

    A model that differentiates by its inputs itself makes them leaves of their own, and the scores of a teacher are
    detached by whoever computes them or by the loss; nothing is trained through them.

    unreached: names of those that an earlier step has left out
    """
    inputs = [key for key in oracle if key.phase == "gradients" and key.is_input and key in flax]
    in_torch = {key for key in inputs if _stopped(oracle[key], flax[key])}
    in_flax = {key for key in inputs if _stopped(flax[key], oracle[key])}
    left_out = in_torch | in_flax | {key for key in inputs if key.tensor in unreached}
    ours, theirs = (_without(record, left_out) for record in (flax, oracle))
    return theirs, ours, {key.tensor for key in in_torch}, {key.tensor for key in in_flax}


def _stopped(gradient: np.ndarray, other: np.ndarray) -> bool:
    largest = float(np.max(np.abs(other), initial=0.0))
    return 0 < largest < np.inf and bool(np.all(np.abs(gradient) <= NONE * largest))


def _without(record: Record, keys: Collection[Key]) -> Record:
    return {key: array for key, array in record.items() if key not in keys}


def without_marks(twin: Twin, rows: Sequence[Row]) -> tuple[list[Row], set[str]]:
    """Returns the rows without failing gradients of inputs of whole numbers, and the names of these.

    `where(mask == 1, a, b)` and `a * mask + b * (1 - mask)` are one function of a mask; its gradient is nobody's.
    """
    whole = {name for name, array in twin.batches[0].leaves() if is_whole(array)}
    left_out = [each for each in rows if not each.passed and each.key.is_input and each.key.tensor in whole]
    return [each for each in rows if each not in left_out], {each.key.tensor for each in left_out}
