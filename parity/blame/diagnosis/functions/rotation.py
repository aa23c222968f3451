"""Rotary positions: a head's two halves are rotated together in one convention, neighbouring features in another."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

ROPE = "rope-pairs"
DIRECTION = "rope-direction"
BACK = "Flax rotates the other way (rotary positions): the sines have the other sign"
PARTED = ("chunk", "split", "unbind", "getitem")


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
        yield Alternative(DIRECTION, BACK, lambda: -call.result)


def in_parts(call: FunctionCall) -> Iterator[Alternative]:
    """Rotated features that are joined of a * cos - b * sin and b * cos + a * sin: the other pairs, the other way."""
    parts = list(call.args[0] if call.args else call.kwargs.get("tensors", ()))
    found = _parts(call, *parts) if len(parts) == 2 and call.option(1, "dim", 0) == -1 else None
    if found is None:
        return
    x, a, b, cos, sin = found
    joined = lambda first, second: call.function([first, second], -1)  # noqa: E731
    yield Alternative(DIRECTION, BACK, lambda: joined(a * cos + b * sin, b * cos - a * sin))
    if x is None or x.shape[-1] != 2 * a.shape[-1]:
        return
    halved = call.name != "stack"
    text = ("the two halves", "neighbouring features")
    text = f"Flax rotates {text[halved]}, PyTorch {text[not halved]} (rotary positions)"
    first, second = (x[..., ::2], x[..., 1::2]) if halved else x.chunk(2, -1)
    rotated = (first * cos - second * sin, second * cos + first * sin)
    other = torch.stack(rotated, -1).flatten(-2) if halved else torch.cat(rotated, -1)
    yield Alternative(ROPE, text, lambda: other.reshape(call.result.shape))


def _parts(call: FunctionCall, first: torch.Tensor, second: torch.Tensor) -> tuple | None:
    """Returns the features, their two parts, cosines and sines, if one part is turned by the other."""
    difference, total = call.behind(first), call.behind(second)
    if not difference or not total or (difference.name, total.name) != ("sub", "add"):
        return None
    products = [call.behind(term) for made in (difference, total) for term in made.args[:2]]
    if any(made is None or made.name != "mul" or not all(map(torch.is_tensor, made.args[:2])) for made in products):
        return None
    left, right, *others = [tuple(made.args[:2]) for made in products if made]
    for a, cos in (left, left[::-1]):
        for b, sin in (right, right[::-1]):
            if all(any(_same(pair, other) for other in others) for pair in ((b, cos), (a, sin))):
                parted = call.behind(a)
                return parted.x if parted and parted.name in PARTED else None, a, b, cos, sin
    return None


def _same(pair: tuple, other: tuple) -> bool:
    """Tells whether two products are of the same two tensors, in whichever order."""
    return any(all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(pair, way)) for way in (other, other[::-1]))


def turned(x: torch.Tensor, halves: bool) -> torch.Tensor:
    """Returns features that are turned by a quarter in pairs: a half apart, or neighbours."""
    if halves:
        first, second = x.chunk(2, -1)
        return torch.cat([-second, first], -1)
    return torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
