"""Two flat dicts of numpy arrays -> rows with a gap, a threshold and the reason for it. Numpy only."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Record = Mapping[str, np.ndarray]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}


@dataclass(frozen=True)
class Policy:
    """How close is close enough.

    noise_factor: the float64 gap may be this many times the measured noise
    ceiling:      a float64 threshold above this is not granted: the case is ill-conditioned
    ratio:        Flax's float32 error may be this many times PyTorch's
    """

    noise_factor: float = 16.0
    ceiling: float = 1e-9
    ratio: float = 3.0


@dataclass(frozen=True)
class Row:
    """One compared tensor. `gap` and `threshold` are relative to the tensor's root mean square."""

    phase: str
    name: str
    gap: float
    threshold: float
    because: str
    status: str

    @property
    def passed(self) -> bool:
        return self.status == "pass"


def noise_of(oracle: Record, disturbed: list[Record]) -> dict[str, float]:
    """How far each tensor moves, relative to its scale, when weights and inputs move by one ulp."""
    scales = {key: scale_of(oracle, key)[0] for key in oracle}
    return {
        key: max(_largest(other[key] - oracle[key]) for other in disturbed) / scales[key] for key in oracle
    }


def compare_semantics(
    oracle: Record, flax: Record, noise: Mapping[str, float], longest_sum: int, policy: Policy = Policy()
) -> list[Row]:
    """float64 against float64: is it the same mathematics? The largest difference counts."""
    floor = math.sqrt(longest_sum) * UNIT["float64"]

    def judge(key: str) -> Row:
        scale, note = scale_of(oracle, key)
        gap = _largest(flax[key] - oracle[key]) / scale
        threshold = policy.noise_factor * max(noise[key], floor)
        origin = f"noise {noise[key]:.1e}" if noise[key] > floor else f"sqrt({longest_sum}) ulp"
        because = f"{policy.noise_factor:g} x {origin}{note}"
        if threshold > policy.ceiling:
            return _row(key, gap, policy.ceiling, f"ill-conditioned: {because} is above the ceiling", "fail")
        return _row(key, gap, threshold, because)

    return [*_structure(oracle, flax, "float64"), *map(judge, _comparable(oracle, flax))]


def compare_precision(
    oracle: Record,
    torch: Record,
    flax: Record,
    noise: Mapping[str, float],
    longest_sum: int,
    dtype: str = "float32",
    policy: Policy = Policy(),
) -> list[Row]:
    """Is Flax as close to the float64 oracle as PyTorch is? The root mean square error counts."""
    unit = UNIT[dtype]

    def judge(key: str) -> Row:
        scale, note = scale_of(oracle, key)
        error, reference = (_rms(side[key].astype(np.float64) - oracle[key]) / scale for side in (flax, torch))
        rounding = max(math.sqrt(longest_sum), noise[key] / UNIT["float64"]) * unit
        because = f"{policy.ratio:g} x PyTorch's {reference:.1e} + rounding {rounding:.1e}{note}"
        return _row(key, error, policy.ratio * reference + rounding, because)

    both = {key: torch[key] for key in oracle if key in torch and _sound(torch[key])}
    return [
        *_structure(oracle, torch, dtype, "PyTorch"),
        *_structure(oracle, flax, dtype),
        *map(judge, (key for key in _comparable(oracle, flax) if key in both)),
    ]


def _structure(oracle: Record, other: Record, dtype: str, side: str = "Flax") -> Iterator[Row]:
    """A failing row for everything that keeps two tensors from being compared at all."""
    for key in oracle.keys() - other.keys():
        yield _failure(key, f"missing in {side}")
    for key in other.keys() - oracle.keys():
        yield _failure(key, f"only in {side}")
    for key in oracle.keys() & other.keys():
        a, b = oracle[key], other[key]
        if a.shape != b.shape:
            yield _failure(key, f"shape {b.shape} in {side}, {a.shape} in PyTorch")
        elif not a.size:
            yield _failure(key, "empty: nothing to compare")
        elif not (_sound(a) and _sound(b)):
            bad_oracle, bad = (int(np.sum(~np.isfinite(t))) for t in (a, b))
            yield _failure(key, f"{bad} of {b.size} values not finite in {side}, {bad_oracle} in the oracle")
        elif np.issubdtype(b.dtype, np.floating) and b.dtype != dtype:
            yield _failure(key, f"{b.dtype} in {side} within a {dtype} run")


def _comparable(oracle: Record, other: Record) -> Iterator[str]:
    """In the oracle's order, the tensors with a partner of the same shape and finite values."""
    for key, a in oracle.items():
        b = other.get(key)
        if b is not None and a.shape == b.shape and a.size and _sound(a) and _sound(b):
            yield key


def scale_of(oracle: Record, key: str) -> tuple[float, str]:
    """The tensor's root mean square, and a note where another scale is right.

    What is zero in exact arithmetic (the gradient of a bias before batch normalisation) is rounding error
    alone: it is measured against the other tensors of the same layer.
    """
    own = _rms(oracle[key])
    layer = max(_rms(oracle[other]) for other in oracle if _layer(other) == _layer(key))
    if own <= 1e-13 * layer:
        return layer, "; analytically zero, so measured against its layer"
    return (own, "") if own > 0 else (1.0, "; exactly zero")


def _layer(key: str) -> str:
    return key.rpartition(".")[0] or key.partition("/")[0]


def _row(key: str, gap: float, threshold: float, because: str, status: str = "") -> Row:
    phase, _, name = key.partition("/")
    return Row(phase, name, gap, threshold, because, status or ("pass" if gap <= threshold else "fail"))


def _failure(key: str, because: str) -> Row:
    return _row(key, math.inf, 0.0, because, "fail")


def _rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _largest(array: np.ndarray) -> float:
    return float(np.max(np.abs(array.astype(np.float64))))


def _sound(array: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(array)))
