"""Slopes of ALiBi, a geometric series over the heads, that begin elsewhere or run the other way."""

from collections.abc import Iterator
from functools import partial

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "slopes"
NEAR = 1e-5  # tables are made in float32


def slopes(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the call with other slopes in the place of a table whose first number is its ratio."""
    for place, x in enumerate(call.args[:2]):
        if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.requires_grad or x._base is not None:
            continue
        if x.numel() < 2 or max(x.shape) != x.numel() or not bool((x > 0).all()):
            continue
        flat = x.reshape(-1)
        ratios = flat / torch.cat([torch.ones_like(flat[:1]), flat[:-1]])
        ratio = float(ratios[0])
        if ratio >= 1 or bool(((ratios - ratio).abs() > NEAR * ratio).any()):
            continue
        for first, other in ((1.0, x / ratio), (ratio**2, x * ratio)):
            text = f"Flax's slopes of heads (ALiBi) begin with {first:.6g}, PyTorch's with {ratio:.6g}"
            yield Alternative(CAUSE, text, partial(_again, call, place, other))
        text = "Flax's slopes of heads (ALiBi) rise from head to head, PyTorch's fall"
        yield Alternative(CAUSE, text, partial(_again, call, place, flat.flip(0).reshape(x.shape)))


def _again(call: FunctionCall, place: int, other: torch.Tensor) -> torch.Tensor:
    return call.function(*(other if at == place else x for at, x in enumerate(call.args)), **call.kwargs)
