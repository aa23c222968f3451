"""Rotary positions: a head's two halves are rotated together in one convention, neighbouring features in another."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

ROPE = "rope-pairs"


def projections(call: FunctionCall) -> Iterator[Alternative]:
    """Features of queries and keys in the order that makes the one rotation the other: scores see no other effect."""
    y = call.result
    if not isinstance(y, torch.Tensor) or y.ndim < 3:
        return
    features = y.shape[-1]
    for size in (n for n in range(4, features + 1, 2) if features % n == 0):
        halves = torch.arange(size).reshape(2, -1).T.reshape(-1)
        for order, text in (
            (torch.argsort(halves), "Flax rotates neighbouring features, PyTorch the two halves"),
            (halves, "Flax rotates the two halves of the features, PyTorch neighbours"),
        ):
            text = f"{text} (rotary positions, heads of {size})"
            yield Alternative(ROPE, text, lambda o=order, s=size: _within_heads(y, o, s, features), paired=True)
            if features % (3 * size) == 0:
                joint = 2 * features // 3
                text += ", queries and keys in one projection"
                yield Alternative(ROPE, text, lambda o=order, s=size, n=joint: _within_heads(y, o, s, n))


def _within_heads(y: torch.Tensor, order: torch.Tensor, size: int, until: int) -> torch.Tensor:
    """The first `until` features, permuted within each head."""
    heads = y[..., :until].unflatten(-1, (-1, size))[..., order].flatten(-2)
    return torch.cat([heads, y[..., until:]], -1)


def halves(call: FunctionCall) -> Iterator[Alternative]:
    """(-b, a) of the halves a and b: neighbours rotated instead."""
    parts = call.args[0] if call.args else ()
    if len(parts) == 2 and call.option(1, "dim", 0) in (-1, parts[0].ndim - 1) and parts[0].shape == parts[1].shape:
        x = torch.cat([parts[1], -parts[0]], -1)
        text = "Flax rotates neighbouring features, PyTorch the two halves (rotary positions)"
        yield Alternative(ROPE, text, lambda: turned(x, halves=False))


def turned(x: torch.Tensor, halves: bool) -> torch.Tensor:
    """Returns features that are turned by a quarter in pairs: a half apart, or neighbours."""
    if halves:
        first, second = x.chunk(2, -1)
        return torch.cat([-second, first], -1)
    return torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
