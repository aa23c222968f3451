"""The weights that two models hold: are they the same numbers?"""

from collections.abc import Mapping

import numpy as np

from parity.arrays.key import Arrays, Key
from parity.compare.rows import Row, failure, row, sound
from parity.compare.scale import largest_gap, rms


def compare_weights(theirs: Mapping[str, np.ndarray], ours: Arrays) -> list[Row]:
    """Returns a row for each tensor; only equal numbers pass, since a checkpoint is copied, not computed."""
    return [_judged(Key(1, "weights", name), theirs[name], array) for name, array in ours.items()]


def _judged(key: Key, theirs: np.ndarray, ours: np.ndarray) -> Row:
    if ours.shape != theirs.shape:
        return failure(key, f"shape {ours.shape} in Flax, {theirs.shape} in PyTorch")
    if not sound(theirs) or not sound(ours):
        return failure(key, "values that are not finite")
    difference = largest_gap(ours, theirs) if ours.size else 0.0
    return row(key, difference / (rms(theirs) or 1.0), 0.0, "weights as they are: equal numbers")
