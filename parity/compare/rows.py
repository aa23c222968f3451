"""Rows: each compared tensor has a gap, a threshold and the reason for it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from parity.arrays.key import Key, Record


@dataclass(frozen=True)
class Row:
    """A compared tensor. `gap` and `threshold` are relative to the tensor's root mean square.

    blunt: PyTorch's own rounding hides all but gross errors in it
    """

    key: Key
    gap: float
    threshold: float
    because: str
    status: str
    blunt: bool = False

    @property
    def phase(self) -> str:
        """The phase in words."""
        return self.key.place

    @property
    def name(self) -> str:
        """The tensor in words."""
        return self.key.name

    @property
    def passed(self) -> bool:
        return self.status == "pass"


def passed(rows: Iterable[Row]) -> bool:
    """Tells whether every row has passed."""
    return all(row.passed for row in rows)


def structure(oracle: Record, other: Record, dtype: str) -> Iterator[Row]:
    """A failing row for everything that keeps two tensors from being compared at all."""
    yield from (failure(key, "missing in Flax") for key in oracle if key not in other)
    yield from (failure(key, "only in Flax") for key in other if key not in oracle)
    for key in (key for key in oracle if key in other):
        a = oracle[key]
        b = other[key]
        if a.shape != b.shape:
            yield failure(key, f"shape {b.shape} in Flax, {a.shape} in PyTorch")
        elif not a.size:
            yield failure(key, "empty: nothing to compare")
        elif not (sound(a) and sound(b)):
            bad_oracle, bad = (int(np.sum(~np.isfinite(t))) for t in (a, b))
            yield failure(key, f"{bad} of {b.size} values not finite in Flax, {bad_oracle} in the oracle")
        elif np.issubdtype(b.dtype, np.floating) and b.dtype != dtype:
            yield failure(key, f"{b.dtype} in Flax within a {dtype} run")


def comparable(oracle: Record, other: Record) -> Iterator[Key]:
    """Returns, in the oracle's order, the tensors with a partner of the same shape and finite values."""
    for key, a in oracle.items():
        b = other.get(key)
        if b is not None and a.shape == b.shape and a.size and sound(a) and sound(b):
            yield key


def row(key: Key, gap: float, threshold: float, because: str, status: str = "") -> Row:
    """Returns the row of a tensor; it passes where the gap is within the threshold, unless a status is named."""
    return Row(key, gap, threshold, because, status or ("pass" if gap <= threshold else "fail"))


def failure(key: Key, because: str) -> Row:
    """Returns the failing row of a tensor that cannot be compared."""
    return row(key, math.inf, 0.0, because, "fail")


def sound(array: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(array)))
