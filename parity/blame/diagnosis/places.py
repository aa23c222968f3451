"""Hypotheses on two arrays: they differ in some places only, or one of them is empty there."""

from collections.abc import Iterator

import numpy as np

from parity.blame.diagnosis.factors import DROPOUT_RATES
from parity.blame.diagnosis.order import Explanation

CLOSE = 1e-11
MOST_RUNS = 8  # of numbers that are told one by one
# Causes that only say where.
PLACES = ("channels", "batch-rows", "border", "first-line", "last-line", "first-step", "last-step")
VAGUE = (  # that tell how numbers differ, not why
    *(*PLACES, "scale-per-channel", "bias", "shared-offset", "scale-and-offset", "reordered", "signs", "scale"),
    *("clipped", "unclipped"),
)


def nonfinite(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """NaN or infinity in one framework and numbers in the other; the rest agrees."""
    if oracle.shape != flax.shape:
        return
    here = ~np.isfinite(oracle)
    there = ~np.isfinite(flax)
    odd = (here | there) & ~((oracle == flax) | (np.isnan(oracle) & np.isnan(flax)))
    if not odd.any():
        return
    kinds = ", ".join(sorted({str(value) for value in np.concatenate([oracle[here], flax[there]])[:1000]}))
    text = f"{there.sum()} of {flax.size} values are not finite in Flax, {here.sum()} in PyTorch ({kinds})"
    yield "not-finite", text, np.where(odd, flax, oracle)


def nothing(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """All zeros on one side: no gradient, or a branch that is not there."""
    if oracle.shape != flax.shape:
        return
    if not flax.any():
        yield "all-zeros", f"Flax has zeros only{_against(oracle, 'PyTorch')}", flax
    elif not oracle.any() and flax.size > 1:
        yield "zeros-in-pytorch", f"PyTorch has zeros only{_against(flax, 'Flax')}", flax


def _against(other: np.ndarray, name: str) -> str:
    """Returns what the other side has, where that is one number, as of segments that nobody gave; or why there are."""
    if other.size > 1 and (other == other.flat[0]).all():
        return f", {name} {other.flat[0]:g} everywhere"
    return ": no gradient gets there, or the branch is missing"


def triangle(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A causal mask on one side only: zeros above or below the diagonal of the last two axes."""
    if oracle.shape != flax.shape or oracle.ndim < 2 or min(oracle.shape[-2:]) < 3:
        return
    for keep, side, offset in ((np.tril, "above", 0), (np.triu, "below", 0), (np.tril, "on and above", -1)):
        mask = keep(np.ones(oracle.shape[-2:]), offset)
        yield "causal-mask", f"Flax is zero {side} the diagonal", oracle * mask
        if not np.any(oracle * (1 - mask)):
            yield "causal-mask", f"PyTorch is zero {side} the diagonal, Flax is not", np.where(mask, oracle, flax)


def zeros(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Zeros where the other side has values: dropped out or masked, with dropout's scale on the rest or not."""
    if oracle.shape != flax.shape:
        return
    missing = (flax == 0) & (oracle != 0)
    extra = (oracle == 0) & (flax != 0)
    if missing.any() and np.sum((flax != 0) & (oracle != 0)) >= 2:
        text = f"{missing.sum()} of {flax.size} values are zero in Flax alone (dropped or masked)"
        yield "zeros", text, np.where(missing, 0, oracle)
        for p in DROPOUT_RATES:
            scaled = np.where(missing, 0, oracle / (1 - p))
            yield "dropout", f"{text}; the others are scaled by 1 / (1 - {p:g})", scaled
    if extra.any() and np.sum((flax != 0) & (oracle != 0)) >= 2:
        text = f"{extra.sum()} of {flax.size} values are zero in PyTorch alone (dropped or masked)"
        yield "zeros-in-pytorch", text, np.where(extra, flax, oracle)
        for p in DROPOUT_RATES:
            scaled = np.where(extra, flax, oracle * (1 - p))
            yield "dropout-missing", f"{text}; the others are scaled by 1 / (1 - {p:g})", scaled


def broadcast(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Repeats a slice, or the mean or sum of all, along an axis; or drops the axis."""
    for axis, length in enumerate(oracle.shape):
        if length < 2:
            continue
        for name, what, reduced in _reductions(oracle, axis):
            for part in (reduced, np.squeeze(reduced, axis)):
                if part.shape == flax.shape and part.size >= 1:
                    yield name, f"Flax has {what} axis {axis}, and no such axis", part
            if oracle.shape == flax.shape:
                explained = np.broadcast_to(reduced, flax.shape)
                yield "broadcast", f"Flax has {what} axis {axis} everywhere along it", explained
    if oracle.shape != flax.shape and oracle.size < flax.size and _stretches(oracle.shape, flax.shape):
        yield "broadcast", f"Flax is broadcast from {oracle.shape} to {flax.shape}", np.broadcast_to(oracle, flax.shape)


def _reductions(oracle: np.ndarray, axis: int) -> Iterator[tuple[str, str, np.ndarray]]:
    yield "mean", "the mean over", np.mean(oracle, axis, keepdims=True)
    yield "sum", "the sum over", np.sum(oracle, axis, keepdims=True)
    yield "first-only", "the first slice of", np.take(oracle, [0], axis)
    yield "last-only", "the last slice of", np.take(oracle, [-1], axis)
    yield "maximum", "the maximum over", np.max(oracle, axis, keepdims=True)


def _stretches(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def numbered(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Whole numbers that count the places along an axis, where PyTorch's are others, such as of what is no padding."""
    if oracle.shape != flax.shape or (oracle % 1).any() or (flax % 1).any():
        return
    for axis, length in enumerate(flax.shape):
        counted = np.arange(length).reshape([-1 if a == axis else 1 for a in range(flax.ndim)]) + flax.flat[0]
        if length >= 3:
            text = f"Flax counts the places of axis {axis} from {flax.flat[0]:g}, PyTorch has other whole numbers"
            yield "positions", text, np.broadcast_to(counted, flax.shape)


def cropped(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """More rows or columns on one side; the shared part agrees (ceil mode, padding at one end)."""
    if oracle.ndim != flax.ndim or oracle.shape == flax.shape:
        return
    starts = {"end": 0, "beginning": 1}
    for side, from_end in starts.items():
        explained = flax.copy()
        common = [min(a, b) for a, b in zip(oracle.shape, flax.shape)]
        here = tuple(_part(n, c, from_end) for n, c in zip(oracle.shape, common))
        there = tuple(_part(n, c, from_end) for n, c in zip(flax.shape, common))
        if np.unique(oracle[here]).size < 3:
            continue
        explained[there] = oracle[here]
        yield (
            "size",
            f"shape {flax.shape} in Flax, {oracle.shape} in PyTorch; they differ at the {side} alone",
            explained,
        )


def _part(length: int, common: int, from_end: int) -> slice:
    return slice(length - common, length) if from_end else slice(0, common)


def some_places(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Differences in the last row or column, on the border, in some rows of the batch, in some channels alone."""
    if oracle.shape != flax.shape or oracle.ndim < 1:
        return
    different = np.abs(flax - oracle) > CLOSE * (np.sqrt(np.mean(oracle**2)) or 1)
    agreeing = ~different & (oracle != 0)
    if not different.any() or np.sum(agreeing) < max(2, 0.02 * oracle.size):
        return
    explained = np.where(different, flax, oracle)
    yield from ((name, text, explained) for name, text in _where(different))


def _where(different: np.ndarray) -> Iterator[tuple[str, str]]:
    spatial = [axis for axis in range(2, different.ndim) if different.shape[axis] >= 3]
    for axis in spatial:
        for index, side in ((-1, "last"), (0, "first")):
            if _only_in(different, [(axis, index)]):
                yield f"{side}-line", f"Flax differs at the {side} place of axis {axis} alone: padding, or ceil mode"
    for index, side in ((-1, "last"), (0, "first")):
        if len(spatial) > 1 and _only_in(different, [(axis, index) for axis in spatial]):
            yield f"{side}-line", f"Flax differs in the {side} row and column alone: padding, or ceil mode"
    if spatial and _only_in(different, [(axis, index) for axis in spatial for index in (0, -1)]):
        yield "border", "Flax differs on the border of the spatial axes alone: padding"
    for index, side in ((0, "first"), (-1, "last")) if different.ndim == 3 and different.shape[1] >= 3 else ():
        if _only_in(different, [(1, index)]):
            yield f"{side}-step", f"Flax differs at the {side} place of axis 1 alone: the {side} step, of a sequence"
    for axis, (name, what) in enumerate((("batch-rows", "rows of the batch"), ("channels", "channels"))):
        if axis < different.ndim:
            others = tuple(place for place in range(different.ndim) if place != axis)
            wrong = np.flatnonzero(different.any(others))
            if wrong.size <= different.shape[axis] / 2:
                yield name, f"Flax differs in {what} {_ranges(wrong)} alone (axis {axis})"


def _ranges(numbers: np.ndarray) -> str:
    """Returns increasing whole numbers in words: `3`, `4 to 7, 9`; of many, how many there are between which."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    if len(runs) > MOST_RUNS:
        return f"{numbers[0]}, {numbers[1]}, ... {numbers[-1]} ({numbers.size} of them)"
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _only_in(different: np.ndarray, lines: list[tuple[int, int]]) -> bool:
    rest = different.copy()
    for axis, index in lines:
        np.moveaxis(rest, axis, 0)[index] = False
    return not rest.any()


FIRST = [nonfinite, nothing, numbered]
HYPOTHESES = [triangle, zeros, broadcast, cropped]
LAST = [some_places]
