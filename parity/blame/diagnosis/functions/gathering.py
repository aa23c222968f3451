"""Places along an axis that a tensor of numbers names: the inverse of a permutation, the last one, the other way."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def gathered(call: FunctionCall) -> Iterator[Alternative]:
    """Yields what other numbers take from a tensor along one axis."""
    x, axis, index = call.x, call.option(1, "dim"), call.option(2, "index")
    if call.name == "take_along_dim":
        axis, index = call.option(2, "dim"), call.option(1, "indices")
    if not isinstance(axis, int) or not isinstance(index, torch.Tensor) or index.ndim != x.ndim:
        return
    given = {"dim": axis, "indices" if call.name == "take_along_dim" else "index": index}
    name = next(key for key in given if key != "dim")
    again = lambda other: call.function(x, **{**given, name: other})  # noqa: E731
    inverse = index.argsort(axis)
    places = torch.arange(index.shape[axis], device=index.device)
    places = places.view([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])
    if torch.equal(index.gather(axis, inverse), places.expand_as(index)) and not torch.equal(inverse, index):
        text = f"Flax takes the places of axis {axis} by the inverse of PyTorch's permutation"
        yield Alternative("inverse-permutation", text, lambda: again(inverse))
    last = x.shape[axis] - 1
    if index.shape[axis] == 1 and bool((index < last).any()):
        shown = index.flatten(1)[:, 0].tolist()
        text = f"Flax takes the last place of all, PyTorch that of each example: {shown}"
        yield Alternative("padding-counted", text, lambda: again(torch.full_like(index, last)))


def sorted_otherwise(call: FunctionCall) -> Iterator[Alternative]:
    """Yields an order that falls where PyTorch's rises, or the other way round."""
    falls = bool(call.option(2, "descending", False))
    if isinstance(call.option(1, "dim", -1), int):
        text = f"Flax's order {'rises' if falls else 'falls'}, PyTorch's {'falls' if falls else 'rises'}"
        other = {**call.kwargs, "dim": call.option(1, "dim", -1), "descending": not falls}
        yield Alternative("sort-direction", text, lambda: call.function(call.x, **other))
