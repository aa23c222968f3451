"""One constant under which PyTorch's model computes what Flax does: fitted by secants, and shown in few digits."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.functions.altering import Altering, Choice, Find

Run = Callable[[Choice, Find], tuple[Any, Altering]]
Computed = Callable[[float], Sequence[np.ndarray]]
MOST_RUNS = 12
LEAST = 6  # numbers to which the one is fitted: any would fit a loss
DONE = 1e-10
SHARES = (math.inf, 0.9, 0.5)  # of the gap before that a step may leave; the first goes aside, the second far
ASIDE = 1.1  # a factor under which a constant that is proven gives something else


def fitted(computed: Computed, oracle: Sequence[np.ndarray], flax: Sequence[np.ndarray], aside: float = ASIDE) -> float:
    """Returns the factor under which the model computes what Flax does, by secants; 0 where none is found."""
    target = _row(flax)
    factor, before = aside, 1.0
    last, gap = _row(oracle), distance(oracle, flax, oracle)
    for number in range(MOST_RUNS):
        pieces = computed(factor)
        now, left = _row(pieces), distance(pieces, flax, oracle)
        if left <= DONE:
            return factor
        slope = (now - last) / (factor - before)
        square = float(slope @ slope)
        if not np.isfinite(left) or not square or left > SHARES[min(number, 2)] * gap:
            return 0.0
        before, last, gap = factor, now, left
        factor += float(slope @ (target - now)) / square
        if factor in (0.0, before):
            return 0.0
    return 0.0


def is_sharp(computed: Computed, factor: float, flax: Sequence[np.ndarray]) -> bool:
    """Tells whether another factor gives something else; where any does, as of what a maximum hides, none is proven."""
    pieces = computed(factor)
    return distance(pieces, computed(ASIDE * factor), pieces) > 1e3 * max(distance(pieces, flax, pieces), DONE)


def _row(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(piece, np.float64).ravel() for piece in pieces])


def shown(value: float) -> str:
    """Returns the number as a fraction where it is one of few digits that no decimal is."""
    if float(f"{value:.6g}") == value or abs(value - float(f"{value:.4g}")) <= 1e-10 * abs(value):
        return f"{value:.6g}"
    fraction = Fraction(value).limit_denominator(999)
    near = fraction and abs(value - fraction) <= 1e-10 * abs(value)
    return f"{fraction} = {value:.6g}" if near else f"{value:.10g}"
