"""Norms, and what is divided by them, along other axes, of another order, without their root."""

import math
from collections.abc import Iterator
from functools import partial

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.arithmetic import other_axes


def normalised(call: FunctionCall) -> Iterator[Alternative]:
    """F.normalize along another axis, with another norm or left out."""
    yield Alternative("normalize-missing", "Flax does not normalise", lambda: call.x * 1)
    for axis in range(call.x.ndim):
        if axis != call.option(2, "dim", 1) % call.x.ndim:
            text = f"Flax normalises along axis {axis}, PyTorch along axis {call.option(2, 'dim', 1)}"
            yield Alternative(
                "normalize-axis", text, lambda axis=axis: torch.nn.functional.normalize(call.x, 2.0, axis)
            )
    p = call.option(1, "p", 2.0)
    for other in (1.0, 2.0):
        if other != p:
            text = f"Flax normalises by the norm of order {other:g}, PyTorch by that of order {p:g}"
            yield Alternative(
                "norm-order",
                text,
                lambda other=other: torch.nn.functional.normalize(call.x, other, call.option(2, "dim", 1)),
            )
    for eps in (0.0, 1e-8, 1e-6, 1e-5):
        text = f"Flax adds eps={eps:g} under the root of the squares' sum, PyTorch bounds the norm from below"
        yield Alternative(
            "eps",
            text,
            lambda eps=eps: call.x / (call.x.square().sum(call.option(2, "dim", 1), keepdim=True) + eps).sqrt(),
        )


def norms(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the square of a norm, and norms of another order or along other axes."""
    text = "Flax takes the sum of squares, without the root of PyTorch's norm"
    yield Alternative("root-missing", text, lambda: call.result.square())
    order = call.option(1, "ord" if "linalg" in call.name else "p")
    order = order if isinstance(order, int | float) else 2
    axes, keep = call.option(2, "dim"), bool(call.option(3, "keepdim", False))
    axes = tuple(range(call.x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    axes = tuple(axis % call.x.ndim for axis in axes)
    norm = partial(torch.linalg.vector_norm, call.x, keepdim=keep)
    for other in (1, 2, math.inf):
        if other != order:
            text = f"Flax takes the norm of order {other}, PyTorch that of order {order:g}"
            yield Alternative("norm-order", text, lambda other=other: norm(other, dim=axes))
    for others in other_axes(call.x, axes) if len(axes) > 1 else ((axis,) for axis in range(call.x.ndim)):
        if others != axes:
            text = f"Flax takes the norm along axes {others}, PyTorch along {axes}"
            yield Alternative("axis", text, lambda others=others: norm(order, dim=others))
