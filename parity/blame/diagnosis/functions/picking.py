"""Indexing: the last for the first, padding for what is valid, another part of what is cropped."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def picked(call: FunctionCall) -> Iterator[Alternative]:
    """Yields other entries of a tensor, or their mean."""
    x = call.x
    index = call.args[1] if len(call.args) > 1 else None
    if not isinstance(x, torch.Tensor):
        return
    if x.ndim == 2 and len(x) == 2 and not x.is_floating_point() and index in (0, 1):
        yield Alternative("ends-exchanged", "Flax exchanges the two rows of a list of edges", lambda: x[1 - index])
    if not isinstance(index, tuple) or not x.is_floating_point():
        return
    if any(item is Ellipsis or item is None for item in index):
        return
    yield from _one(call, x, index)
    yield from _cropped(x, index)
    yield from _last_of_each(x, index)


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
        yield Alternative("crop-side", text, lambda: x.narrow(axis, cut, stop))


def _last_of_each(x: torch.Tensor, index: tuple) -> Iterator[Alternative]:
    """Takes the last place of all, padding or not, where PyTorch takes one of each example."""
    if len(index) != 2 or not all(isinstance(i, torch.Tensor) and i.ndim == 1 and len(i) == len(x) for i in index):
        return
    rows, places = index
    if torch.equal(rows.cpu(), torch.arange(len(x))) and bool((places < x.shape[1] - 1).any()):
        text = f"Flax takes the last place of all, PyTorch that of each example: {places.tolist()}"
        yield Alternative("padding-counted", text, lambda: x[:, -1])
