"""Relative positions in buckets, as T5 has them: one way or both ways, of another reach, from the other end."""

import math
from collections.abc import Iterator
from functools import partial

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "position-buckets"
USUAL = (128, 64, 32, 20, 16, 8, 256)
REACHES = tuple(dict.fromkeys((*USUAL, *range(3, 257))))  # several may fit short sequences
Index = tuple[str, torch.Tensor]


def embedded(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the rows of a table of embeddings that other buckets look up."""
    index, weight = call.x, call.option(1, "weight")
    for text, other in others(index, len(weight)):
        yield Alternative(CAUSE, text, partial(call.again, other))


def picked(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the same of a table that is indexed."""
    table, index = call.args[:2]
    if isinstance(index, torch.Tensor):
        for text, other in others(index, len(table)):
            yield Alternative(CAUSE, text, lambda other=other: table[other])


def others(index: torch.Tensor, count: int) -> Iterator[Index]:
    """Yields what other buckets give, of numbers that depend on how far a key is behind a query alone."""
    if index.dtype not in (torch.int32, torch.int64) or index.ndim < 2 or min(index.shape[-2:]) < 3:
        return
    square = index.reshape(-1, *index.shape[-2:])
    if len(square) > 1 or not torch.equal(square[:, 1:, 1:], square[:, :-1, :-1]) or index.unique().numel() < 3:
        return
    queries, keys = index.shape[-2:]
    if queries == keys:
        yield "Flax counts the positions from keys to queries, PyTorch from queries to keys: transposed", index.mT
    far = torch.arange(1 - queries, keys)
    seen = [torch.cat([square[0, 1:, 0].flip(0), square[0, 0]]).cpu()]
    at = far[queries - 1 :] + torch.arange(queries - 1, -1, -1)[:, None]
    for text, other in _by_formula(seen[0], far, count):
        if bool((other >= 0).all()) and not any(torch.equal(other, before) for before in seen):
            seen.append(other)
            yield text, other[at].reshape(index.shape).to(index)


def _by_formula(index: torch.Tensor, far: torch.Tensor, count: int) -> Iterator[Index]:
    """Yields the buckets of T5 of another kind or another reach, where PyTorch's are of one."""
    ways = {True: "both ways", False: "one way"}
    for dtype in (torch.float64, torch.float32):
        of = partial(_buckets, far, count=count, dtype=dtype)
        for both in (True, False):
            reaches = [reach for reach in REACHES if torch.equal(of(both=both, reach=reach), index)]
            for reach in reaches:
                text = f"Flax has the buckets of relative positions {ways[not both]}, to {reach}, PyTorch {ways[both]}"
                yield text, of(both=not both, reach=reach)
            for reach in USUAL if reaches else ():
                text = f"Flax has the buckets of relative positions to {reach}, PyTorch to another distance"
                yield text, of(both=both, reach=reach)


def _buckets(far: torch.Tensor, both: bool, reach: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    """Returns the buckets of keys that are so far behind queries: exact ones, then by the logarithm up to `reach`."""
    first = torch.zeros_like(far)
    if both:
        count //= 2
        first = (far > 0) * count
    far = far.abs() if both else (-far).clamp(min=0)
    exact = count // 2
    if not 0 < exact < reach:
        return first - 1
    logs = (far.clamp(min=1).to(dtype) / exact).log() / math.log(reach / exact)
    large = (exact + (logs * (count - exact)).long()).clamp(max=count - 1)
    return first + torch.where(far < exact, far, large)
