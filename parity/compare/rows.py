"""Two flat dicts of numpy arrays -> rows with a gap, a threshold and the reason for it. Numpy only."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Record = Mapping[str, np.ndarray]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-9}


@dataclass(frozen=True)
class Policy:
    """How close is close enough.

    noise_factor: the float64 gap may be this many times the measured noise
    ceiling:      a float64 threshold above this is not granted: the case is ill-conditioned
    ratio:        Flax's float32 error may be this many times PyTorch's ...
    blunt:        a float32 limit above this can tell little, and is counted in the summary
    sums:         ... and this many times the rounding of the longest sum: PyTorch adds some of its float32
                  sums in double precision (batch norm), XLA none
    """

    noise_factor: float = 16.0
    ceiling: float = 1e-9
    ratio: float = 3.0
    blunt: float = 1e-2
    sums: float = 8.0


POLICY = Policy()
NOTHING: Mapping[str, float] = {}
NO_SPREAD: Record = {}
VISIBLE = 1e-5  # an update whose parameter's last digit is more than this part of it tells too little
BLUNT = "PyTorch's own rounding hides all but gross errors here: "


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


def noise_of(
    oracle: Record, disturbed: Iterable[Record], spread: dict[str, np.ndarray] | None = None
) -> dict[str, float]:
    """How far each tensor moves at most, relative to its scale, when weights and inputs move by one ulp.

    spread: is given the updates' noise element by element
    """

    def watched() -> Iterator[Record]:
        for record in disturbed:
            for key in (key for key in oracle if spread is not None and _is_update(key)):
                moved = np.abs(record[key].astype(np.float64) - oracle[key])
                spread[key] = np.maximum(spread.get(key, 0.0), moved)  # type: ignore[index, union-attr]
            yield record

    return _worst(oracle, watched(), _largest)


def largest_of(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """By key, the larger of two measurements; `one` may lack some."""
    return {key: max(value, one.get(key, 0.0)) for key, value in other.items()}


def _is_update(key: str) -> bool:
    return key.partition("/")[0].endswith("update")


def errors_of(oracle: Record, runs: Iterable[Record]) -> dict[str, float]:
    """The largest root mean square error of each tensor, relative to its scale, over runs of low precision."""
    return _worst(oracle, runs, rms)


def _worst(oracle: Record, others: Iterable[Record], size: Callable[[np.ndarray], float]) -> dict[str, float]:
    worst, scales = dict.fromkeys(oracle, 0.0), scales_of(oracle)
    for other in others:
        for key, array in oracle.items():
            distance = size(other[key].astype(np.float64) - array) / scales[key][0]
            worst[key] = max(worst[key], distance if math.isfinite(distance) else math.inf)
    return worst


def compare_semantics(
    oracle: Record,
    flax: Record,
    noise: Mapping[str, float],
    longest_sum: int,
    policy: Policy = POLICY,
    subtracted: Mapping[str, float] = NOTHING,
    spread: Record = NO_SPREAD,
    corrected: Mapping[str, float] = NOTHING,
) -> list[Row]:
    """float64 against float64: is it the same mathematics? The largest difference counts.

    noise:      see `noise_of`
    subtracted: of what is a difference, the largest of the numbers that were subtracted: their last digit is all
                that it can be known to
    corrected:  of updates that are divided by 1 - beta^t, that number: its own last digit counts as often
    spread:     the updates' noise by element: an optimiser that divides by the gradient's size makes noise of
                what is zero but for rounding
    """
    unit, scales = UNIT["float64"], scales_of(oracle)

    def judge(key: str) -> Row:
        scale, note = scales[key]
        gap = _largest(flax[key] - oracle[key]) / scale
        rounding, last_digit = math.sqrt(longest_sum) * unit, unit * subtracted.get(key, 0.0) / scale
        origins = {f"noise {noise[key]:.1e}": noise[key], f"sqrt({longest_sum}) ulp": rounding}
        origins["ulp of the parameter"] = last_digit
        if key in corrected:
            origins["ulp of 1 - beta^t"] = unit / corrected[key]
        origin = max(origins, key=origins.__getitem__)
        threshold = policy.noise_factor * origins[origin]
        because = f"{policy.noise_factor:g} x {origin}{note}"
        if noise[key] <= 4 * last_digit < VISIBLE:
            return row(key, gap, threshold, because)
        whole = _below_ceiling(key, gap, threshold, because, policy)
        if whole.passed or threshold <= policy.ceiling or key not in spread:
            return whole
        return _where_determined(key, oracle, flax, noise, scale, spread[key], policy)

    return [*_structure(oracle, flax, "float64"), *map(judge, _comparable(oracle, flax))]


def _below_ceiling(key: str, gap: float, threshold: float, because: str, policy: Policy) -> Row:
    """Noise above the ceiling excuses no gap above it: what one ulp does to such a tensor would hide a mistake."""
    if threshold <= policy.ceiling:
        return row(key, gap, threshold, because)
    if gap <= policy.ceiling:
        return row(key, gap, policy.ceiling, f"the ceiling; {because} is above it")
    return row(key, gap, policy.ceiling, f"ill-conditioned: {because} is above the ceiling", "fail")


def _where_determined(
    key: str, oracle: Record, flax: Record, noise: Mapping[str, float], scale: float, spread: np.ndarray, policy: Policy
) -> Row:
    """An update where its gradient is above its own rounding; elsewhere its sign is chance, on both sides."""
    gradient = key.replace("update/", "gradients/", 1)
    floor = 1e3 * max(noise[gradient], UNIT["float64"]) * scales_of(_siblings(gradient, oracle))[gradient][0]
    clear = np.abs(oracle[gradient]) > floor
    if not clear.any():
        return row(key, 0.0, 0.0, "undetermined: the gradient is analytically zero")
    gap = _largest((flax[key] - oracle[key])[clear]) / scale
    found = float(np.max(spread[clear])) / scale
    threshold = policy.noise_factor * max(found, UNIT["float64"] * _largest(oracle[key]) / scale)
    because = f"{policy.noise_factor:g} x noise {found:.1e}"
    if not clear.all():
        because += f"; {np.mean(~clear):.0%} left out, their gradient is analytically zero"
    return _below_ceiling(key, gap, threshold, because, policy)


def _siblings(key: str, oracle: Record) -> Record:
    """The tensors of the same layer."""
    return {other: array for other, array in oracle.items() if _layer(other) == _layer(key)}


def compare_precision(
    oracle: Record,
    reference: Mapping[str, float],
    flax: Record,
    longest_sum: int,
    dtype: str = "float32",
    policy: Policy = POLICY,
    subtracted: Mapping[str, float] = NOTHING,
) -> list[Row]:
    """Is Flax as close to the float64 oracle as PyTorch is? The root mean square error counts.

    reference: PyTorch's own error, see `errors_of`
    """
    # Products of bfloat16 are summed in float32.
    floor = policy.sums * max(UNIT[dtype], math.sqrt(longest_sum) * UNIT["float32"])
    blunt, scales = max(policy.blunt, 50 * UNIT[dtype]), scales_of(oracle)

    def judge(key: str) -> Row:
        scale, note = scales[key]
        error = rms(flax[key].astype(np.float64) - oracle[key]) / scale
        if math.isinf(reference[key]):
            return row(key, error, 0.0, f"PyTorch's own {dtype} result is not finite", "fail")
        if np.issubdtype(oracle[key].dtype, np.integer):
            return row(key, error, policy.ratio * reference[key], f"{policy.ratio:g} x PyTorch's {reference[key]:.1e}")
        because = f"{policy.ratio:g} x PyTorch's {reference[key]:.1e} + {policy.sums:g} x sqrt({longest_sum}) ulp{note}"
        limit = policy.ratio * reference[key] + floor + UNIT[dtype] * subtracted.get(key, 0.0) / scale
        return row(key, error, limit, f"{BLUNT}{because}" if limit > blunt else because)

    return [*_structure(oracle, flax, dtype), *map(judge, _comparable(oracle, flax))]


def compare_classes(oracle: Record, flax: Record, rows: Iterable[Row]) -> list[Row]:
    """Which class wins may differ only where the oracle's margin is below what the scores' own limit allows.

    rows: of the scores; a row is added for each output (batch, ..., classes)
    """
    limits = {f"{found.phase}/{found.name}": found.threshold for found in rows}
    scores = [key for key in oracle if key.endswith("/output") and oracle[key].ndim > 1 and key in limits]

    def judge(key: str) -> Row:
        best, margin = np.argmax(oracle[key], -1), np.diff(np.sort(oracle[key], -1)[..., -2:], axis=-1)[..., 0]
        flipped = np.argmax(flax[key], -1) != best
        allowed = 2 * limits[key] * max(rms(oracle[key]), 1e-300)
        unexcused = int(np.sum(flipped & (margin > allowed)))
        because = f"{int(flipped.sum())} of {best.size} classes flip; a margin above {allowed:.1e} must not"
        return row(key.replace("/output", "/argmax of output"), unexcused, 0.0, because)

    return [judge(key) for key in scores if flax.get(key) is not None and flax[key].shape == oracle[key].shape]


def _structure(oracle: Record, other: Record, dtype: str) -> Iterator[Row]:
    """A failing row for everything that keeps two tensors from being compared at all."""
    yield from (_failure(key, "missing in Flax") for key in oracle if key not in other)
    yield from (_failure(key, "only in Flax") for key in other if key not in oracle)
    for key in (key for key in oracle if key in other):
        a, b = oracle[key], other[key]
        if a.shape != b.shape:
            yield _failure(key, f"shape {b.shape} in Flax, {a.shape} in PyTorch")
        elif not a.size:
            yield _failure(key, "empty: nothing to compare")
        elif not (_sound(a) and _sound(b)):
            bad_oracle, bad = (int(np.sum(~np.isfinite(t))) for t in (a, b))
            yield _failure(key, f"{bad} of {b.size} values not finite in Flax, {bad_oracle} in the oracle")
        elif np.issubdtype(b.dtype, np.floating) and b.dtype != dtype:
            yield _failure(key, f"{b.dtype} in Flax within a {dtype} run")


def _comparable(oracle: Record, other: Record) -> Iterator[str]:
    """In the oracle's order, the tensors with a partner of the same shape and finite values."""
    for key, a in oracle.items():
        b = other.get(key)
        if b is not None and a.shape == b.shape and a.size and _sound(a) and _sound(b):
            yield key


def scales_of(oracle: Record) -> dict[str, tuple[float, str]]:
    """Each tensor's root mean square, and a note where another scale is right.

    What is zero in exact arithmetic (the gradient of a bias before batch normalisation) is rounding error
    alone: it is measured against the other tensors of the same layer.
    """
    own = {key: rms(array) if array.size and _sound(array) else 0.0 for key, array in oracle.items()}
    layers: dict[str, float] = {}
    for key, size in own.items():
        layers[_layer(key)] = max(size, layers.get(_layer(key), 0.0))
    return {key: _scale(size, layers[_layer(key)]) for key, size in own.items()}


def _scale(own: float, layer: float) -> tuple[float, str]:
    if layer == 0:
        return 1.0, "; exactly zero"
    if own <= 1e-13 * layer:
        return layer, "; analytically zero, so measured against its layer"
    return own, ""


def _layer(key: str) -> str:
    return key.rpartition(".")[0] or key.partition("/")[0]


def row(key: str, gap: float, threshold: float, because: str, status: str = "") -> Row:
    phase, _, name = key.partition("/")
    return Row(phase, name, gap, threshold, because, status or ("pass" if gap <= threshold else "fail"))


def _failure(key: str, because: str) -> Row:
    return row(key, math.inf, 0.0, because, "fail")


def rms(array: np.ndarray) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _largest(array: np.ndarray) -> float:
    return float(np.max(np.abs(array.astype(np.float64))))


def _sound(array: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(array)))
