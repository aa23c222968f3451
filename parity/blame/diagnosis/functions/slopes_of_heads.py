"""Slopes of ALiBi and decays of retention, series over the heads, that begin elsewhere or run the other way."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.masks import LOW

CAUSE = "slopes"
NEAR = 1e-5  # tables are made in float32


def slopes(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the call with another series in the place of a table of slopes, or of decays."""
    for place, x in enumerate(call.args[:2]):
        if _is_table(x):
            flat = x.reshape(-1)
            for text, other in (*_of_any_number(flat), *_slopes(flat), *_decays(flat)):
                yield Alternative(CAUSE, text, partial(_again, call, place, other.reshape(x.shape)))


def biased(call: FunctionCall) -> Iterator[Alternative]:
    """Yields sums in which the term that is a slope times a distance for each head is of other slopes."""
    for scores, bias in (call.args[:2], call.args[1::-1]):
        if (flat := _of_distances(bias)) is None:
            continue
        for text, other in _slopes(flat):
            factor = (other / flat)[:, None, None]
            yield Alternative(CAUSE, text, lambda s=scores, b=bias * factor: s + b)


def _of_distances(bias: Any) -> torch.Tensor | None:
    """Returns the slopes of a bias (heads, queries, keys) that is a slope times the places between, or hides."""
    if not isinstance(bias, torch.Tensor) or bias.requires_grad or bias.ndim < 3 or bias.shape[-3] < 2:
        return None
    if bias.numel() != bias.shape[-3:].numel() or min(bias.shape[-2:]) < 2:
        return None
    queries, keys = bias.shape[-2:]
    apart = (torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)).abs().to(bias)
    seen = (bias > LOW) & (apart > 0)
    slopes = (bias.abs() / apart).reshape(-1, queries, keys)
    each = [head[where] for head, where in zip(slopes, seen.reshape(slopes.shape))]
    if not all(x.numel() and bool(((x - x[0]).abs() <= NEAR * x[0]).all()) for x in each):
        return None
    return torch.stack([x[0] for x in each])


def _is_table(x: Any) -> bool:
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.requires_grad or x._base is not None:
        return False
    return x.numel() > 1 and max(x.shape) == x.numel() and bool((x > 0).all())


def _slopes(flat: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields other slopes than those whose first is their ratio."""
    ratio, power = _series(flat)
    if power == 1:
        for first, other in ((1.0, flat / ratio), (ratio**2, flat * ratio)):
            yield f"Flax's slopes of heads (ALiBi) begin with {first:.6g}, PyTorch's with {ratio:.6g}", other
        yield "Flax's slopes of heads (ALiBi) rise from head to head, PyTorch's fall", flat.flip(0)


def _of_any_number(flat: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the slopes of a number of heads that is no power of two by the other of two formulas."""
    n = len(flat)
    even = flat.new_tensor([2.0 ** (-8 * (head + 1) / n) for head in range(n)])
    power = 2 ** math.floor(math.log2(n))
    first, between = ([2.0 ** (-8 * at / many) for at in range(1, many + 1)] for many in (power, 2 * power))
    nearest = flat.new_tensor([*first, *between[::2]][:n])
    ways = f"of one series of {n}", f"of the series of {power} heads and every second one of {2 * power}"
    for now, other, (theirs, ours) in ((even, nearest, ways), (nearest, even, ways[::-1])):
        if power < n and torch.allclose(now, flat, rtol=NEAR):
            yield f"Flax's slopes of heads (ALiBi) are {ours}, PyTorch's {theirs}", other


def _decays(flat: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields other decays than those that lack a power of one ratio to 1, as 1 - 2^(-5 - head) does."""
    lacks = 1 - flat
    ratio, power = _series(lacks)
    if power > 1:
        for by in (1, -1):
            first = ratio ** (power + by)
            text = (
                f"Flax's decays of heads (retention) begin with 1 - {first:.6g}, PyTorch's with 1 - {ratio**power:.6g}"
            )
            yield text, 1 - lacks * ratio**by
        yield "Flax's decays of heads (retention) fall from head to head, PyTorch's rise", flat.flip(0)


def _series(flat: torch.Tensor) -> tuple[float, int]:
    """Returns the ratio of a series that falls, and which power of it the first number is; 0 of no such series."""
    if bool((flat <= 0).any()):
        return 1.0, 0
    ratios = flat[1:] / flat[:-1]
    ratio, first = float(ratios[0]), float(flat[0])
    if not 0 < ratio < 1 or bool(((ratios - ratio).abs() > NEAR * ratio).any()):
        return 1.0, 0
    power = round(math.log(first) / math.log(ratio))
    return ratio, power if abs(ratio**power - first) <= NEAR * first else 0


def _again(call: FunctionCall, place: int, other: torch.Tensor) -> torch.Tensor:
    return call.function(*(other if at == place else x for at, x in enumerate(call.args)), **call.kwargs)
