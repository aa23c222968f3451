"""The arrangement in which two arrays hold the same numbers: channels last, batch first, flattened."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num, Shaped

Shape = tuple[int, ...]
EXACT = 1e-9  # what glue between two layers may round, relative to the root mean square
FEW = 4  # numbers, fewer than which tell nothing
NEAR = 5e-3  # another epsilon, an approximate GELU, a cast to float32


@dataclass(frozen=True)
class Arrangement:
    """The way in which an array of Flax's follows from PyTorch's.

    gap:    the largest difference, relative to the root mean square
    axes:   the order of PyTorch's axes, before anything is reshaped
    joined: the leading axes are then reshaped, or else they are Flax's already
    split:  how Flax's last axis falls into factors, where it was flattened in another order than PyTorch's
    order:  the axes of `split` in PyTorch's order
    """

    gap: float
    axes: tuple[int, ...]
    joined: bool = False
    split: Shape = ()
    order: tuple[int, ...] = ()


def arrangement(
    flax: Shaped[np.ndarray, "..."], torch: Shaped[np.ndarray, "..."], *, loose: bool = False
) -> Arrangement | None:
    """The nearest arrangement, or None if all are further away than `NEAR`.

    loose: however far; but of two arrays that differ, an unusual arrangement has to be nearer by half
    """
    if flax.size != torch.size or _integer(flax) != _integer(torch) or not flax.size:
        return None
    if not loose and not _alike(flax, torch):
        return None
    best = None
    for candidate, view in _views(torch, flax.shape):
        found = Arrangement(gap(flax, view), *candidate)
        margin = 0.5 if best and found.gap > NEAR else 1.0
        if best is None or found.gap < margin * best.gap:
            best = found
        if found.gap < EXACT:
            break
    return best if best is not None and (loose or best.gap < NEAR) else None


def gap(left: Shaped[np.ndarray, "*shape"], right: Shaped[np.ndarray, "*shape"]) -> float:
    """The largest difference relative to the root mean square; infinite where one alone is not finite."""
    if _integer(left):
        return 0.0 if np.array_equal(left, right) else math.inf
    if not left.size:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        different = np.abs(left - right)
        finite = np.isfinite(left) & np.isfinite(right)
        if np.any(~finite & ~((left == right) | (np.isnan(left) & np.isnan(right)))):
            return math.inf
        scale = np.sqrt(np.mean(np.square(right[finite]))) if finite.any() else 1.0
        return float(np.max(different[finite], initial=0.0) / (scale or 1.0))


def within(flax: Shaped[np.ndarray, "..."], torch: Shaped[np.ndarray, "..."]) -> bool:
    """Tells whether Flax's array has some of PyTorch's numbers, zeros aside: the last tokens, those of an expert."""
    if _integer(flax) or _integer(torch) or flax.size == torch.size:
        return False
    some, every = flax[flax != 0], np.sort(torch, axis=None)
    if not FEW <= some.size <= every.size or not np.isfinite(every).all():
        return False
    places = np.searchsorted(every, some).clip(1, every.size - 1)
    nearest = np.minimum(np.abs(every[places] - some), np.abs(every[places - 1] - some))
    return bool(np.max(nearest) < EXACT * np.sqrt(np.mean(np.square(every))))


def correlation(flax: Num[np.ndarray, "..."], torch: Num[np.ndarray, "..."]) -> float:
    """The likeness of two arrays that are not the same, from 0 to 1, in the arrangement that suits best."""
    if flax.size != torch.size or _integer(flax) or _integer(torch):
        return 0.0
    views = itertools.islice(_views(torch, flax.shape), 8)
    return max((abs(_pearson(flax.ravel(), view.ravel())) for _, view in views), default=0.0)


def _pearson(left: np.ndarray, right: np.ndarray) -> float:
    left = left - left.mean()
    right = right - right.mean()
    norm = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / norm) if norm > 0 and np.isfinite(norm) else 0.0


def _integer(array: np.ndarray) -> bool:
    return not np.issubdtype(array.dtype, np.inexact)


def _alike(left: np.ndarray, right: np.ndarray) -> bool:
    """Moments that no rearrangement changes: cheap, and it refuses nearly everything that is different."""
    if _integer(left):
        return int(left.sum()) == int(right.sum())
    with np.errstate(invalid="ignore", over="ignore"):
        square = float(np.mean(np.square(right)))
        if not math.isfinite(square):
            return True
        scale = math.sqrt(square) or 1.0
        mean = abs(float(left.mean()) - float(right.mean())) / scale
        return bool(mean < 2 * NEAR and abs(float(np.mean(np.square(left))) - square) <= 4 * NEAR * scale**2)


def _views(torch: np.ndarray, shape: Shape) -> Iterator[tuple[tuple, np.ndarray]]:
    """Yields (axes, joined, split, order) of every arrangement with Flax's shape, the usual ones first."""
    orders = _orders(torch.ndim)
    for axes in orders:
        if tuple(torch.shape[axis] for axis in axes) == shape:
            yield (axes,), torch.transpose(axes)
    if not shape or not torch.ndim:
        yield from [((tuple(range(torch.ndim)), True), torch.reshape(shape))]
        return
    for axes in orders[:3]:
        view = torch.transpose(axes)
        if view.shape != shape and view.shape[-1:] == shape[-1:]:
            yield (axes, True), view.reshape(shape)
        yield from (((axes, True), heads) for heads in _heads_apart(view, shape))
    if torch.shape[-1] == shape[-1]:
        yield from _flattened(torch, shape)


def _heads_apart(view: np.ndarray, shape: Shape) -> Iterator[np.ndarray]:
    """Yields features as Flax has them with an axis for the heads, before them or before the sequence."""
    if len(shape) != view.ndim + 1 or view.shape[-1] == shape[-1] or view.shape[-1] % shape[-1]:
        return
    apart = view.reshape(*view.shape[:-1], -1, shape[-1])
    yield from (x for x in (apart, apart.swapaxes(-3, -2)) if x.shape == shape)


def _flattened(torch: np.ndarray, shape: Shape) -> Iterator[tuple[tuple, np.ndarray]]:
    """Dense inputs whose features were flattened in another order: (C, H, W) against (H, W, C)."""
    rows = torch.reshape(-1, shape[-1])
    axes = tuple(range(torch.ndim))
    joined = torch.shape[:-1] != shape[:-1]
    for split in _factors(shape[-1]):
        for order in itertools.permutations(range(len(split))):
            if order == tuple(range(len(split))) or (len(split) == 3 and order not in _TRIPLES):
                continue
            inner = rows.reshape(-1, *(split[axis] for axis in order))
            back = np.argsort(order)
            view = inner.transpose(0, *(int(axis) + 1 for axis in back))
            yield (axes, joined, split, order), view.reshape(shape)


_TRIPLES = {(0, 2, 1), (1, 0, 2), (2, 1, 0)}  # the other two are transpositions of two factors


def _factors(size: int) -> list[Shape]:
    divisors = [d for d in range(2, size) if size % d == 0]
    pairs = [(d, size // d) for d in divisors]
    return pairs + [(a, b, size // a // b) for a in divisors for b in divisors if a * b < size and size % (a * b) == 0]


def _orders(rank: int) -> list[tuple[int, ...]]:
    """The usual orders of axes first: as they are, channels last, the first two exchanged."""
    usual = [tuple(range(rank))]
    if rank > 2:
        usual += [(0, *range(2, rank), 1), (1, 0, *range(2, rank))]
    others = itertools.permutations(range(rank)) if rank <= 5 else ()
    return [*usual, *(axes for axes in others if axes not in usual)]
