"""Larger weights and inputs, with which numbers go beyond bounds that none has reached: both sides, once more.

They are multiples of those of the first step, doubled until every bound acts. Where the two part as a bound begins to
act, it is the bound if they agree just before, or if another number in its place explains all tensors.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from math import exp, inf, log
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize_scalar

from d2l_jax.errors import InputError
from d2l_jax.turns import Tensors
from parity.arrays.key import Key, Record
from parity.blame.diagnosis.calls import UNFIT
from parity.compare.rows import Row, failure, passed, row, sound
from parity.compare.scale import largest_gap, scales_of
from parity.proof.idle_bounds import Bounds, Side
from parity.proof.steps import Sides
from parity.result import Blame
from parity.sides.disturb import one_ulp
from parity.twin.other_batches import is_mask
from parity.twin.twin import State, Twin

DOUBLED = [2.0**n for n in range(1, 8)]
FACTORS = (*DOUBLED, *(-factor for factor in DOUBLED))  # a single number's bound may be on the other side
FAR = 8.0  # times as large again, another bound acts, too
LIMIT = 1e-6  # a bound that acts on one side alone moves a tensor by far more, rounding by far less
NOISE = 100.0  # times what an ulp does to PyTorch's own numbers
BECAUSE = "a bound that acts on one side alone would move it by more"
PHASE = "beyond bounds"


class _Larger:
    """Both sides' first step with weights and inputs that are some times as large."""

    def __init__(self, twin: Twin, sides: Sides, factor: float):
        self.sides = sides
        self.state = _multiplied(twin, factor)
        first = twin.batches[0]
        self.batch = replace(first, tensors=_inputs_multiplied(first.tensors, factor))

    def torch(self, bounds: Bounds, ulp: int = -1) -> Record:
        with bounds:
            return _compared(self.sides.exact.taken(1, self.state, one_ulp(ulp), batch=self.batch))

    @cached_property
    def flax(self) -> Record:
        return _compared(self.sides.flax["float64"].taken(1, self.state, set(), batch=self.batch))

    def rows(self, oracle: Record, without: Collection[str] = ()) -> list[Row]:
        """Returns a row for each tensor; where one fails, PyTorch's own noise is measured.

        without: lines whose bounds the oracle has left out
        """
        flax = self.flax
        rows = _rows(oracle, flax, {})
        if passed(rows):
            return rows
        noise = dict[Key, float]()
        for ulp in range(2):
            for each in _rows(oracle, self.torch(Bounds(without), ulp), {}):
                noise[each.key] = max(each.gap, noise.get(each.key, 0.0))
        return _rows(oracle, flax, noise)


def beyond_bounds(twin: Twin, sides: Sides, heard: Bounds) -> tuple[list[Row], list[str], Blame | None]:
    """Returns a row for each output and gradient beyond bounds, the lines whose bounds stay idle, and the blame.

    No row where no number gets beyond a bound, or where the two part before one does: the verdict stands without.

    heard: what the first step has heard
    """
    rows: list[Row] = []
    left = heard.sides(reached=False)
    for factor in FACTORS:
        if not left:
            break
        try:
            larger, bounds = _Larger(twin, sides, factor), Bounds()
            oracle = larger.torch(bounds)
            if all(map(sound, oracle.values())) and (met := left & bounds.sides(reached=True)):
                rows = larger.rows(oracle)
                if not passed(rows):
                    far = _Larger(twin, sides, FAR * factor)
                    text = _another_number(far, bounds, met)
                    if not text and not _calm(_Larger(twin, sides, factor / 2), factor / 2):
                        return [], _lines(left), None
                    return rows, [], _blame(far, factor, _lines(met), text)
                left -= met
        except (InputError, *UNFIT):  # such numbers are none that the model takes
            continue
    return rows, _lines(left), None


def _lines(sides: set[tuple[str, str]]) -> list[str]:
    return sorted({line for line, _ in sides})


def _calm(larger: _Larger, factor: float) -> bool:
    """Tells whether the two agree with that factor, as they did with 1."""
    return factor == 1.0 or passed(larger.rows(larger.torch(Bounds())))


def _blame(larger: _Larger, factor: float, lines: list[str], text: str) -> Blame:
    """Names the bounds, and whether Flax computes what PyTorch does without them, with numbers as large as that."""
    named = ", ".join(lines)
    without = larger.torch(Bounds(without=lines))
    cause, text = "bound", text or f"Flax has another bound than {named}, or none"
    if all(map(sound, without.values())) and passed(larger.rows(without, lines)):
        cause, text = "bound-missing", f"Flax has no bound where PyTorch has {named}"
    place = f"numbers that weights and inputs {factor:g} times as large bring beyond bounds, which none has reached"
    return Blame("", "forward", cause, f"{place}: {text}")


def _another_number(larger: _Larger, bounds: Bounds, met: Collection[Side]) -> str:
    """Says which of the bounds has which other number in Flax; nothing where none explains all tensors."""
    for place in sorted(met & bounds.numbers.keys()):
        at = bounds.numbers[place]
        best: Any = minimize_scalar(_gap, args=(larger, place), bounds=(-log(FAR), log(FAR)), options={"xatol": 1e-9})
        if at and best.fun < LIMIT and passed(_moved_rows(best.x, larger, place)):
            return f"Flax bounds at {at * exp(best.x):.4g} where PyTorch has {at:.4g} ({place[0]})"
    return ""


def _moved_rows(logarithm: float, larger: _Larger, place: Side) -> list[Row]:
    """Returns a row for each tensor, PyTorch's bound being multiplied."""
    oracle = larger.torch(Bounds(times={place: exp(logarithm)}))
    return _rows(oracle, larger.flax, {})


def _gap(logarithm: float, larger: _Larger, place: Side) -> float:
    """Returns the largest gap of outputs then: gradients leap where another number is bounded."""
    rows = _moved_rows(logarithm, larger, place)
    return max((each.gap for each in rows if each.key.tensor.startswith("output")), default=inf)


def _multiplied(twin: Twin, factor: float) -> State:
    keys = {key for leaf in twin.leaves if leaf.trained for key in leaf.keys}
    tensors = {
        key: array * array.dtype.type(factor) if key in keys and _floating(array) else array
        for key, array in twin.start.tensors.items()
    }
    return replace(twin.start, tensors=tensors)


def _inputs_multiplied(tensors: Tensors, factor: float) -> Tensors:
    def times(array: Any) -> Any:
        return array * array.dtype.type(abs(factor)) if _floating(array) and not is_mask(array) else array

    return {name: jax.tree.map(times, value) if name == "input" else value for name, value in tensors.items()}


def _floating(array: Any) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _compared(record: Record) -> Record:
    return {key: array for key, array in record.items() if key.phase in ("forward", "gradients")}


def _rows(oracle: Record, other: Record, noise: dict[Key, float]) -> list[Row]:
    scales = scales_of(oracle)
    return [
        _judged(key, array, other[key], scales[key][0], max(LIMIT, NOISE * noise.get(key._replace(phase=PHASE), 0.0)))
        for key, array in oracle.items()
        if key in other
    ]


def _judged(key: Key, theirs: np.ndarray, ours: np.ndarray, scale: float, limit: float) -> Row:
    beyond = key._replace(phase=PHASE)
    if theirs.shape != ours.shape or not theirs.size:
        return row(beyond, 0.0, limit, "compared elsewhere")
    if not sound(ours):
        return failure(beyond, "not finite in Flax beyond a bound of PyTorch's")
    return row(beyond, largest_gap(ours, theirs) / scale, limit, BECAUSE)
