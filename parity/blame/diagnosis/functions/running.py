"""Sums and products along a sequence, and sums by a list of numbers, as of messages to the nodes of a graph."""

from collections.abc import Iterator
from functools import partial

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

NEUTRAL = {"cumsum": 0.0, "cumprod": 1.0, "logcumsumexp": -torch.inf}
LONGEST = 512  # places that are written one after the other
REDUCED = {"mean": "mean", "max": "amax"}


def cumulated(call: FunctionCall) -> Iterator[Alternative]:
    """Runs from the other end, or leaves out the place itself."""
    axis = call.option(1, "dim")
    text = f"Flax runs along axis {axis} from its last place to its first, PyTorch's {call.name} from its first"
    yield Alternative("running-direction", text, lambda: call.again(call.x.flip(axis)).flip(axis))
    length = call.x.shape[axis]
    for parts in (n for n in (2, 3, 4) if length % n == 0 and length > n):
        text = f"Flax begins anew at each of {parts} parts of axis {axis}, PyTorch's {call.name} goes on over them"
        anew = partial(_anew, call, parts, axis)
        yield Alternative("running-anew", text, anew)
    before = call.result.narrow(axis, 0, call.result.shape[axis] - 1)
    start = torch.full_like(call.result.narrow(axis, 0, 1), NEUTRAL[call.name])
    text = f"Flax takes what is before each place of axis {axis}, PyTorch's {call.name} the place itself, too"
    yield Alternative("running-exclusive", text, lambda: torch.cat([start, before], axis))


def gathered(call: FunctionCall) -> Iterator[Alternative]:
    """Takes the mean or the largest of what belongs together, PyTorch the sum."""
    if not call.x.is_floating_point() or call.x.any():
        return
    axis, index, source = call.option(1, "dim"), call.option(2, "index"), call.args[3]
    if bool((source == source.flatten()[:1]).all()):
        return  # it counts
    for name, reduction in REDUCED.items():
        text = f"Flax takes the {name} of what belongs to one number (jax.ops.segment_{name}), PyTorch the sum"
        reduced = partial(_reduced, call.x, axis, index, source, reduction)
        yield Alternative(f"{name}-for-sum", text, reduced)
    if source.shape[axis] <= LONGEST:
        text = "Flax writes what belongs to one number (.at[].set), of which the last stays; PyTorch adds (.at[].add)"
        yield Alternative("set-for-add", text, partial(_written, call.x, axis, index, source))


def _anew(call: FunctionCall, parts: int, axis: int) -> torch.Tensor:
    return torch.cat([call.again(part) for part in call.x.chunk(parts, axis)], axis)


def _reduced(x: torch.Tensor, axis: int, index: torch.Tensor, source: torch.Tensor, reduction: str) -> torch.Tensor:
    places = _places(axis, index, source)
    return torch.zeros_like(x).scatter_reduce(axis, places, source, reduction, include_self=False)


def _written(x: torch.Tensor, axis: int, index: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Writes one number after the other, as there is no order in a single `scatter`."""
    places, written = _places(axis, index, source), torch.zeros_like(x)
    for at in range(source.shape[axis]):
        written = written.scatter(axis, places.narrow(axis, at, 1), source.narrow(axis, at, 1))
    return written


def _places(axis: int, index: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Returns the place of each number, of `index_add`'s list, too."""
    along = [-1 if a == axis % source.ndim else 1 for a in range(source.ndim)]
    return (index if index.ndim == source.ndim > 1 else index.view(along)).expand_as(source)
