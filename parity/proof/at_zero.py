"""Gradients of the first step where some numbers are exactly 0, which random weights never make."""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from parity.arrays.key import Record
from parity.compare.constants import limits_at_zero
from parity.compare.rows import Row, passed, sound
from parity.compare.ties import BECAUSE, DEAD, EQUAL, compare_ties
from parity.models.equal_maxima import EqualNumbers, Slope
from parity.models.roots import with_finite_roots
from parity.proof.input_gradients import reached, without_marks
from parity.proof.steps import Sides
from parity.sides.flax import FlaxRun
from parity.twin.planted_zeros import with_planted_zeros, with_zero_biases
from parity.twin.twin import Twin

NOTE = (
    "a unit whose weights are all 0 gets gradients from Flax that are not finite, where it takes the square root of "
    "an exact 0; PyTorch's are finite. No fresh model has such a unit; optax.safe_norm is finite there, too"
)


def at_zero(twin: Twin, sides: Sides, rows: list[Row], cut: Collection[str] = ()) -> list[Row]:
    """Returns a row for each gradient of the first step that was right without numbers that are exactly 0.

    Where a unit is 0 everywhere, all of its numbers are its largest: which of them has the slope is no mistake. Nor is
    the infinite slope of a root that such a unit meets, and a fresh model, whose biases are 0, does not.

    cut: inputs whose gradients are not compared
    """
    if not passed(rows):
        return []
    state = with_planted_zeros(twin)
    limits = limits_at_zero(rows)

    def compared(flax: Record, because: str) -> list[Row]:
        oracle, ours, *_ = reached(sides.exact.taken(1, state), flax, cut)
        return without_marks(twin, compare_ties(oracle, ours, limits, because))[0]

    run = sides.flax["float64"]
    ours = run.taken(1, state, set())
    plain = _by_equal_numbers(partial(compared, ours), BECAUSE, EQUAL)
    if passed(plain) or _finite(ours) or not _finite(run.taken(1, with_zero_biases(twin), set())):
        return plain
    rooted = _with_finite_roots(twin, run).taken(1, state, set())
    finite = _by_equal_numbers(partial(compared, rooted), DEAD, dict.fromkeys(EQUAL, DEAD))
    return finite if passed(finite) else plain


def notes_at_zero(rows: Sequence[Row]) -> list[str]:
    """Returns a line where dead units alone have other gradients."""
    return [NOTE] if any(row.because == DEAD for row in rows) else []


def _by_equal_numbers(compared: Callable[[str], list[Row]], because: str, by_slope: Mapping[Slope, str]) -> list[Row]:
    """Returns the rows of the slope that PyTorch's equal numbers have, or of one that JAX may give them.

    compared: makes the rows, each with that reason
    """
    plain = compared(because)
    if passed(plain):
        return plain
    for slope, reason in by_slope.items():
        with EqualNumbers(slope) as numbers:
            other = compared(reason)
        if not numbers.met:
            return plain
        if passed(other):
            return other
    return plain


def _finite(record: Record) -> bool:
    return all(sound(array) for key, array in record.items() if key.phase == "gradients")


def _with_finite_roots(twin: Twin, run: FlaxRun) -> FlaxRun:
    """Returns the same run with the slope 0 where the model takes the square root of 0."""
    other = FlaxRun(twin, run.dtype, run.device)
    other.flax = copy.copy(other.flax)
    stock = other.flax.run

    def finite(function: Callable[..., Any], *given: Any, **options: Any) -> Any:
        return with_finite_roots(lambda *arrays: stock(function, *arrays, **options))(*given)

    other.flax.run = finite
    return other
