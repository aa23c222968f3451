"""Hypotheses on two arrays: the same numbers in another order."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

Explanation = tuple[str, str, np.ndarray]
LONGEST_AXIS = 4096  # beyond it three factors of a flattened axis are too many to try


def reshaped(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The same numbers in the same order under another shape."""
    if oracle.shape != flax.shape and oracle.size == flax.size:
        yield "shape", f"Flax has shape {flax.shape} where PyTorch has {oracle.shape}", oracle.reshape(flax.shape)


def transposed(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Two axes exchanged, or all of them permuted."""
    if sorted(oracle.shape) != sorted(flax.shape) or not 2 <= oracle.ndim <= 5:
        return
    axes = tuple(range(oracle.ndim))
    for order in sorted(itertools.permutations(axes), key=lambda order: _moved(order)):
        if order == axes or tuple(oracle.shape[axis] for axis in order) != flax.shape:
            continue
        moved = [axis for axis in axes if order[axis] != axis]
        if len(moved) == 2:
            yield "transposed", f"axes {moved[0]} and {moved[1]} are exchanged in Flax", oracle.transpose(order)
        else:
            yield "axes-permuted", f"Flax has PyTorch's axes in the order {order}", oracle.transpose(order)


def _moved(order: tuple[int, ...]) -> int:
    return sum(axis != place for place, axis in enumerate(order))


def flipped(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The order reversed along one axis or several: a convolution in place of a cross-correlation."""
    long = [axis for axis, length in enumerate(oracle.shape) if length > 1]
    for count in range(1, len(long) + 1):
        for axes in itertools.combinations(long, count):
            yield "flipped", f"Flax is reversed along {_axes(axes)}", np.flip(oracle, axes)


def rolled(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A roll by one along an axis, around the end."""
    for axis, by in itertools.product(range(oracle.ndim), (1, -1)):
        if oracle.shape[axis] >= 3:
            yield "rolled", f"Flax is rolled by {by:+d} along axis {axis}", np.roll(oracle, by, axis)


def shifted(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A shift by one along an axis; what came in at the edge is not judged."""
    if oracle.shape != flax.shape:
        return
    for axis, by in itertools.product(range(oracle.ndim), (1, -1)):
        if oracle.shape[axis] < 3:
            continue
        moved = np.moveaxis(np.roll(oracle, by, axis), axis, 0).copy()
        inner = moved[1:] if by > 0 else moved[:-1]
        if np.unique(inner).size < 4:
            continue
        edge = 0 if by > 0 else -1
        moved[edge] = np.moveaxis(flax, axis, 0)[edge]
        yield "shifted", f"Flax is shifted by {by:+d} along axis {axis}", np.moveaxis(moved, 0, axis)


def gates(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Two, three or four equal blocks along axis 0 in another order."""
    if oracle.shape != flax.shape or not oracle.ndim:
        return
    length = oracle.shape[0]
    for count in (2, 3, 4):
        if length % count or length // count < 2:
            continue
        blocks = np.split(np.arange(length), count)
        for order in itertools.permutations(range(count)):
            if order != tuple(range(count)):
                text = f"the {count} blocks (gates) along axis 0 are in the order {order} in Flax"
                yield from _taken("gate-order", text, oracle, flax, np.concatenate([blocks[i] for i in order]), 0)


def flatten_order(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """An axis that was flattened from (C, S) in one framework and from (S, C) in the other; three factors too."""
    if oracle.shape != flax.shape:
        return
    for axis in reversed(range(oracle.ndim)):
        length = oracle.shape[axis]
        for factors, order in orders_of(length):
            index = np.arange(length).reshape(factors).transpose(order).ravel()
            other = tuple(factors[i] for i in order)
            text = f"axis {axis} is flattened from {other} in Flax, from {factors} in PyTorch"
            if other == factors:
                text = (
                    f"axis {axis} is flattened from {factors} in another order in Flax: its axes {order} of PyTorch's"
                )
            yield from _taken("flatten-order", text, oracle, flax, index, axis)


def orders_of(length: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ways to read an axis as two or three factors, each with the other orders of the factors."""
    for c in _divisors(length):
        yield (c, length // c), (1, 0)
    if length > LONGEST_AXIS:
        return
    for c in _divisors(length):
        for h in _divisors(length // c):
            for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
                yield (c, h, length // c // h), order


def _divisors(length: int) -> list[int]:
    """Divisors but 1 and the length itself."""
    return [d for d in range(2, length // 2 + 1) if length % d == 0]


def permuted(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The slices along one axis in another order; matched by one random projection of each slice."""
    if oracle.shape != flax.shape or not (np.isfinite(oracle).all() and np.isfinite(flax).all()):
        return
    for axis, length in enumerate(oracle.shape):
        if length < 2:
            continue
        rows, others = (np.moveaxis(array, axis, 0).reshape(length, -1) for array in (oracle, flax))
        keys = np.random.default_rng(0).normal(size=rows.shape[1])
        here = rows @ keys
        there = others @ keys
        if np.unique(np.round(here / (np.abs(here).max() or 1), 9)).size < max(3, length / 2):
            continue
        index = np.empty(length, int)
        index[np.argsort(there, kind="stable")] = np.argsort(here, kind="stable")
        shown = np.array2string(index[:12], separator=", ") + (" ..." if length > 12 else "")
        yield "permuted", f"along axis {axis} Flax has PyTorch's order {shown}", np.take(oracle, index, axis)


def scrambled(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The same numbers in an order that nothing simpler explains; few distinct numbers prove nothing."""
    if oracle.size != flax.size or np.unique(oracle).size < max(4, oracle.size / 4):
        return
    explained = np.empty(flax.size)
    explained[np.argsort(flax, axis=None, kind="stable")] = np.sort(oracle, axis=None)
    yield "reordered", "Flax has the same numbers in another order", explained.reshape(flax.shape)


def _taken(
    name: str, text: str, oracle: np.ndarray, flax: np.ndarray, index: np.ndarray, axis: int
) -> Iterator[Explanation]:
    """Takes an axis in another order, after a look at one line: most orders are wrong, and arrays are large."""
    line: tuple = (0,) * oracle.ndim
    line = (*line[:axis], slice(None), *line[axis + 1 :])
    if np.allclose(oracle[line][index], flax[line], rtol=1e-6, atol=1e-6 * np.abs(oracle[line]).max(), equal_nan=True):
        yield name, text, np.take(oracle, index, axis)


def _axes(axes: tuple[int, ...]) -> str:
    return f"{'axis' if len(axes) == 1 else 'axes'} {' and '.join(map(str, axes))}"


def product_without(shape: tuple[int, ...], axis: int) -> int:
    """The number of entries of one slice along `axis`."""
    return math.prod(length for place, length in enumerate(shape) if place != axis)


HYPOTHESES = [reshaped, transposed, flipped, gates, rolled, flatten_order, permuted, shifted]
LAST = [scrambled]
