"""Measured noise: how far rounding moves each tensor of PyTorch's."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.policy import Policy
from parity.compare.rows import Row
from parity.compare.scale import largest_gap, rms_gap, scales_of

MOST_PROBES = 20


def noise_of(oracle: Record, disturbed: Iterable[Record], spread: Record | None = None) -> dict[Key, float]:
    """Returns how far each tensor moves at most, relative to its scale, when weights and inputs move by one ulp.

    spread: is given the updates' noise element by element
    """

    def watched() -> Iterator[Record]:
        for record in disturbed:
            for key in (key for key in oracle if spread is not None and key.phase == "update"):
                moved = np.asarray(np.abs(record[key].astype(np.float64) - oracle[key]))  # of one number, too
                spread[key] = np.maximum(spread.get(key, 0.0), moved, out=moved)  # type: ignore[index, union-attr]
            yield record

    return _worst(oracle, watched(), largest_gap)


def largest_of(one: Mapping[Key, float], other: Mapping[Key, float]) -> dict[Key, float]:
    """By key, the larger of two measurements; `one` may lack some."""
    return {key: max(value, one.get(key, 0.0)) for key, value in other.items()}


def errors_of(oracle: Record, runs: Iterable[Record]) -> dict[Key, float]:
    """The largest root mean square error of each tensor, relative to its scale, over runs of low precision."""
    return _worst(oracle, runs, rms_gap)


def _worst(
    oracle: Record, others: Iterable[Record], gap: Callable[[np.ndarray, np.ndarray], float]
) -> dict[Key, float]:
    worst = dict.fromkeys(oracle, 0.0)
    scales = scales_of(oracle)
    for other in others:
        for key, array in oracle.items():
            distance = gap(other[key], array) / scales[key][0]
            worst[key] = max(worst[key], distance if math.isfinite(distance) else math.inf)
    return worst


def high_probes(first: int, last: int, most: int = MOST_PROBES) -> Iterator[tuple[range, bool]]:
    """Yields (seeds, whether operations round otherwise too) of the runs that measure float64's noise."""
    yield from ((seeds, False) for seeds in _more_and_more(first, most))
    yield range(last), True


def low_probes(policy: Policy, first: int, most: int = MOST_PROBES) -> Iterator[tuple[range, int, bool]]:
    """Yields (seeds, ulps, whether operations round otherwise too) of the runs that measure PyTorch's own error.

    As many as a verdict needs: each can only widen what is allowed, so that what passes after few passes after all.
    """
    yield range(-1, 0), 1, False
    for seeds in _more_and_more(first, most):
        yield seeds, 1, False
        yield seeds, round(policy.ratio), False
    yield range(most), 1, True


def most_probes(rows: Mapping[str, Sequence[Row]]) -> int:
    """Returns how many runs a duller measure is worth after float64, the sharpest: few where a row of that has failed.

    rows: those of each tier so far
    """
    return MOST_PROBES if all(row.passed for row in rows.get("float64", ())) else 1


def _more_and_more(number: int, most: int) -> Iterator[range]:
    """Yields the seeds of `number` runs, at least 1, then of as many again as there were, until there are enough."""
    number = max(1, number)
    yield range(number)
    while number < most:
        yield range(number, more := min(2 * number, most))
        number = more
