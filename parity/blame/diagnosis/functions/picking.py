"""Indexing: the last for the first, padding for what is valid, another part of what is cropped."""

from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

MOST_MOVED = 6  # places by which a part is moved


def picked(call: FunctionCall) -> Iterator[Alternative]:
    """Yields other entries of a tensor, or their mean."""
    x = call.x
    index = call.args[1] if len(call.args) > 1 else None
    if not isinstance(x, torch.Tensor):
        return
    if x.ndim == 2 and len(x) == 2 and not x.is_floating_point() and index in (0, 1):
        yield Alternative("ends-exchanged", "Flax exchanges the two rows of a list of edges", lambda: x[1 - index])
    if isinstance(index, torch.Tensor) and x.is_floating_point():
        yield from _looked_up(x, index)
    whole = _whole(index, x.ndim)
    if whole is None or not (x.is_floating_point() or x.is_complex()):
        return
    yield from _one(call, x, whole)
    yield from _cropped(x, whole)
    yield from _bounded(x, whole)
    yield from _last_of_each(x, whole)
    yield from _exchanged(x, whole)


def placed(call: FunctionCall) -> Iterator[Alternative]:
    """Yields what is written into other places of a tensor."""
    target, index, value = call.result, _whole(call.args[1], call.x.ndim), call.args[2]
    yield Alternative("part-missing", "Flax leaves out what PyTorch writes there", lambda: target.copy_(call.x))
    for cause, text, other in _bounds(call.x, index) if index is not None else ():
        yield Alternative(cause, text, lambda other=other: _written(target, call.x, other, value))


def _written(target: torch.Tensor, before: torch.Tensor, index: tuple, value: Any) -> None:
    target.copy_(before)
    target[index] = value


def _whole(index: Any, axes: int) -> tuple | None:
    """Returns an index with an entry for each axis that it speaks of; None of one with new axes or of other kinds."""
    index = (index,) if isinstance(index, slice) else index
    if not isinstance(index, tuple) or any(item is None for item in index):
        return None
    if Ellipsis not in [item for item in index if not isinstance(item, torch.Tensor)]:
        return index
    at = next(place for place, item in enumerate(index) if item is Ellipsis)
    return *index[:at], *[slice(None)] * (axes - len(index) + 1), *index[at + 1 :]


def _one(call: FunctionCall, x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    """The last in place of the first, or the other way round, or the mean."""
    axes = [axis for axis, item in enumerate(index) if isinstance(item, int) and not isinstance(item, bool)]
    if len(axes) != 1:
        return
    (axis,) = axes
    for other in (0, -1):
        if other != index[axis]:
            text = f"Flax takes number {other} of axis {axis}, PyTorch number {index[axis]}"
            place = tuple(other if at == axis else item for at, item in enumerate(index))
            yield Alternative("index", text, lambda place=place: x[place])
    rest = tuple(slice(None) if at == axis else item for at, item in enumerate(index))
    text = f"Flax takes the mean of axis {axis}, PyTorch number {index[axis]} of it"
    yield Alternative("mean-for-one", text, lambda: x[rest].mean(axis))


def _cropped(x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    """Crops both ends, as padding='SAME' does, where PyTorch crops the end of a sequence that is padded on both."""
    parts = [axis for axis, item in enumerate(index) if isinstance(item, slice) and item != slice(None)]
    if len(parts) != 1 or x.ndim != 3:
        return
    (axis,) = parts
    start, stop, step = index[axis].indices(x.shape[axis])
    cut = x.shape[axis] - stop
    if start == 0 and step == 1 and 0 < cut < stop:
        text = (
            f"Flax pads axis {axis} as padding='SAME' does; PyTorch pads {cut} at both ends and crops the last {cut},"
            " which sees the past alone (padding='CAUSAL')"
        )
        yield Alternative("causal-padding", text, lambda: x.narrow(axis, cut // 2, stop))
        text = f"Flax crops the first {cut} of axis {axis}, PyTorch the last"
        text += " (padding='SAME' of an even kernel)" if cut == 1 else ""
        yield Alternative("crop-side", text, lambda: x.narrow(axis, cut, stop))


def _bounded(x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    for cause, text, other in _bounds(x, index):
        yield Alternative(cause, text, lambda other=other: x[other])


def _bounds(x: torch.Tensor, index: tuple) -> Iterator[tuple[str, str, tuple]]:
    """Yields as many places one later or earlier, or others from which on they are taken."""
    parts = [axis for axis, item in enumerate(index) if isinstance(item, slice) and item != slice(None)]
    if len(parts) != 1 or index[parts[0]].step not in (None, 1):
        return
    (axis,) = parts
    start, stop, _ = index[axis].indices(x.shape[axis])
    moves = (1, -1, *range(2, MOST_MOVED), *range(-2, -MOST_MOVED, -1))
    ends = [(start + by, stop + by) for by in moves] + [(first, stop) for first in range(min(stop, MOST_MOVED))]
    for first, last in ends:
        if 0 <= first < last <= x.shape[axis] and (first, last) != (start, stop):
            text = f"Flax takes the places {first} to {last - 1} of axis {axis}, PyTorch {start} to {stop - 1}"
            rest = tuple(slice(first, last) if at == axis else item for at, item in enumerate(index))
            yield "slice", text, rest


def _looked_up(x: torch.Tensor, index: torch.Tensor) -> Iterator[Alternative]:
    """Looks up a table from its other end, as where differences are taken the other way round, or one further."""
    if index.dtype == torch.bool or index.is_floating_point() or not index.numel():
        return
    text = f"Flax looks up number {len(x) - 1} - i of {len(x)}, PyTorch number i: differences the other way round"
    yield Alternative("index-reversed", text, lambda: x.flip(0)[index])
    for by in (1, -1):
        text = f"Flax looks up number i {'+-'[by < 0]} 1 of a table, PyTorch number i"
        yield Alternative("index-offset", text, lambda by=by: x[(index + by) % len(x)])


def _last_of_each(x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    """Takes the last place of all, padding or not, where PyTorch takes one of each example."""
    if len(index) != 2 or not all(isinstance(i, torch.Tensor) and i.ndim == 1 and len(i) == len(x) for i in index):
        return
    rows, places = index
    if torch.equal(rows.cpu(), torch.arange(len(x))) and bool((places < x.shape[1] - 1).any()):
        text = f"Flax takes the last place of all, PyTorch that of each example: {places.tolist()}"
        yield Alternative("padding-counted", text, lambda: x[:, -1])


def _exchanged(x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    """Looks up (j, i) of a square table in place of (i, j), as transitions to and from."""
    square = x.ndim == len(index) == 2 and x.shape[0] == x.shape[1]
    if square and all(isinstance(i, torch.Tensor) and i.dtype != torch.bool for i in index):
        text = "Flax looks up [j, i] of a square table, PyTorch [i, j]"
        yield Alternative("index-transposed", text, lambda: x.T[index])
