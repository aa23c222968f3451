"""Gradients where some numbers are exactly 0."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.policy import NOTHING
from parity.compare.rows import Row, failure, row, sound
from parity.compare.scale import largest_gap, scales_of

LIMIT = 1e-6  # another slope at 0 moves a gradient by far more, rounding by far less
BECAUSE = "another slope at 0 would move it by more"
SHARED = "equal numbers share the slope of their maximum in Flax, and in PyTorch one has all of it: no more than that"
ANOTHER = "of equal numbers another one has the slope of what is taken by size: no more than that"
DEAD = "without the infinite slope of Flax's root at 0, which a unit meets whose weights are all 0: no more than that"
EQUAL: dict[Literal["shared", "first", "last"], str] = {  # by which of equal numbers have the slope in PyTorch's place
    "shared": SHARED,
    "first": ANOTHER,
    "last": ANOTHER,
}


def compare_ties(
    oracle: Record, flax: Record, limits: Mapping[Key, float] = NOTHING, because: str = BECAUSE
) -> list[Row]:
    """Returns a row for each gradient; none where PyTorch's own are not finite, and the question has no answer.

    limits: of gradients that something else is known to move by more
    """
    gradients = {key: array for key, array in oracle.items() if key.phase == "gradients" and key in flax}
    if not all(map(sound, gradients.values())):
        return []
    scales = scales_of(gradients)
    return [_judged(key, x, flax[key], scales[key][0], limits.get(key, 0.0), because) for key, x in gradients.items()]


def _judged(key: Key, theirs: np.ndarray, ours: np.ndarray, scale: float, limit: float, because: str) -> Row:
    at_zero = key._replace(phase="at zero")
    if theirs.shape != ours.shape or not theirs.size:
        return row(at_zero, 0.0, LIMIT, "compared elsewhere")
    if not sound(ours):
        return failure(at_zero, "not finite in Flax where numbers are exactly 0")
    return row(at_zero, largest_gap(ours, theirs) / scale, max(LIMIT, limit), because)
