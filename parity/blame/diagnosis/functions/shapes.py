"""Flattening, joining and padding under other conventions."""

import itertools
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.attention import BY_HEADS
from parity.blame.diagnosis.functions.rotation import ROPE, halves

MOST_PARTS = 4  # that are joined in every order
REPEATS = "repeat-order"


def flattened(call: FunctionCall) -> Iterator[Alternative]:
    """Flattens (H, W, C); or splits the features the other way round, as (size, heads)."""
    x = call.x
    y = call.result
    if not isinstance(x, torch.Tensor):
        return
    if x.ndim == 4 and y.ndim == 2:
        text = "Flax flattens (H, W, C), PyTorch (C, H, W)"
        yield Alternative("flatten-order", text, lambda: x.movedim(1, -1).reshape(y.shape))
        text = "Flax flattens (C, H, W), PyTorch (H, W, C)"
        yield Alternative("flatten-order", text, lambda: x.movedim(-1, 1).reshape(y.shape))
    if x.ndim == 2 and y.ndim == 4 and len(x) == len(y):
        other = (len(y), *y.shape[2:], y.shape[1])
        text = "Flax takes the features as (H, W, C), PyTorch as (C, H, W)"
        yield Alternative("flatten-order", text, lambda: x.reshape(other).movedim(-1, 1))
    if x.ndim == 4 and y.ndim == 3 and y.shape[:2] == x.shape[:2]:
        text = "Flax flattens (W, H), PyTorch (H, W)"
        yield Alternative("flatten-order", text, lambda: x.transpose(-1, -2).reshape(y.shape))
    if y.ndim == x.ndim + 1 and y.ndim >= 3 and x.shape[-1] == y.shape[-1] * y.shape[-2]:
        other = (*y.shape[:-2], y.shape[-1], y.shape[-2])
        cause = ROPE if y.shape[-1] == 2 else "heads-interleaved"  # two numbers are a complex one
        text = "Flax's heads are interleaved, PyTorch's are contiguous blocks"
        text += "; or rows and columns of a matrix are exchanged" if x.ndim == 2 else ""
        if x.ndim == 2 and y.shape[-1] == y.shape[-2] > 2:
            cause, text = "transposed", "Flax makes the transposed matrix of the features"
        if cause == ROPE:
            text = "Flax rotates the two halves of the features, PyTorch neighbours (rotary positions)"
        # complex numbers need their two parts side by side
        yield Alternative(cause, text, lambda: x.reshape(other).transpose(-1, -2).contiguous())
    if y.ndim == x.ndim + 2 and 3 in y.shape[-3:-1] and x.shape[-1] == y.shape[-3:].numel():
        before, after = y.shape[-3:-1]
        text = f"Flax splits a joint projection as ({after}, {before}, size), PyTorch as ({before}, {after}, size)"
        other = (*y.shape[:-3], after, before, y.shape[-1])
        yield Alternative(BY_HEADS, text, lambda: x.reshape(other).transpose(-3, -2))
    if y.ndim == x.ndim - 1 and x.ndim >= 4 and y.shape[-1] == x.shape[-1] * x.shape[-2]:
        text = "Flax joins the heads as (size, heads), PyTorch as (heads, size)"
        yield Alternative("heads-interleaved", text, lambda: x.transpose(-1, -2).reshape(y.shape))


def joined(call: FunctionCall) -> Iterator[Alternative]:
    """The parts in the opposite order, in any, or rotated."""
    parts = call.args[0] if call.args else call.kwargs.get("tensors", ())
    axis = call.option(1, "dim", 0)
    if len(parts) < 2:
        return
    text = "Flax joins the parts in the opposite order"
    yield Alternative("concatenation-order", text, lambda: call.function(list(parts)[::-1], axis))
    for order in itertools.permutations(range(len(parts))) if 2 < len(parts) <= MOST_PARTS else ():
        if order[::-1] != tuple(range(len(parts))) != order:
            text = f"Flax joins the {len(parts)} parts in the order {order}"
            yield Alternative(
                "concatenation-order", text, lambda order=order: call.function([parts[i] for i in order], axis)
            )
    if call.name != "stack" and len({tuple(part.shape) for part in parts}) == 1:
        yield from halves(call)


def padded(call: FunctionCall) -> Iterator[Alternative]:
    """Pads on the other side of an axis, or with other values."""
    pads = list(call.option(1, "pad", ()))
    mode = call.option(2, "mode", "constant")
    for at in range(0, len(pads), 2):
        yield from _padded_elsewhere(call, pads, at)
        if pads[at] == -pads[at + 1] != 0:  # what is cut off at the one end is padded at the other
            axis = call.x.ndim - 1 - at // 2
            text = f"Flax shifts axis {axis} by a roll, which wraps around; PyTorch pads"
            yield Alternative("shift-wraps", text, lambda axis=axis, by=pads[at]: call.x.roll(by, axis))
    for kind in ("constant", "reflect", "replicate", "circular"):
        if kind != mode:
            yield Alternative(
                "padding-mode",
                f"Flax pads with {kind}, PyTorch with {mode}",
                lambda kind=kind: F.pad(call.x, pads, kind),
            )
    text = f"Flax pads with symmetric, which repeats the edge, PyTorch with {mode}"
    yield Alternative("padding-mode", text, lambda: _symmetric(call.x, pads))


def _symmetric(x: torch.Tensor, pads: list[int]) -> torch.Tensor:
    """Mirrors the ends of the last axes, the edge itself included."""
    for at in range(0, len(pads), 2):
        axis = x.ndim - 1 - at // 2
        numbers = torch.arange(-pads[at], x.shape[axis] + pads[at + 1], device=x.device)
        last = 2 * x.shape[axis] - 1
        numbers = torch.where(numbers < 0, -1 - numbers, torch.minimum(numbers, last - numbers))
        x = x.index_select(axis, numbers)
    return x


def _padded_elsewhere(call: FunctionCall, pads: list[int], at: int) -> Iterator[Alternative]:
    """Pads one axis as 'SAME' does, or at its other end; a sequence's that is padded at the beginning is causal."""
    first, last = pads[at : at + 2]
    if first == last:
        return
    half = (first + last) // 2
    causal = call.x.ndim == 3 and at == last == 0
    for ends, what in (((half, first + last - half), ", as padding='SAME' does"), ((last, first), ", the other end")):
        text = f"Flax pads axis {call.x.ndim - 1 - at // 2} by {ends}{what}, PyTorch by {(first, last)}"
        text += ", the past alone (padding='CAUSAL')" if causal else ""
        cause = "causal-padding" if causal else "padding-side"
        elsewhere = [*pads[:at], *ends, *pads[at + 2 :]]
        yield Alternative(cause, text, lambda pads=elsewhere: F.pad(call.x, pads, *call.args[2:], **_more(call)))


def rolled(call: FunctionCall) -> Iterator[Alternative]:
    """Rolls the other way, along axes in the other order, or not at all."""
    shifts = call.option(1, "shifts")
    dims = call.option(2, "dims", ())
    opposite = tuple(-shift for shift in shifts) if isinstance(shifts, tuple | list) else -shifts
    yield Alternative("roll-direction", "Flax rolls the other way", lambda: torch.roll(call.x, opposite, dims))
    yield Alternative("roll-missing", "Flax does not roll", lambda: call.x * 1)
    if isinstance(shifts, tuple | list) and len(set(shifts)) > 1:
        exchanged = tuple(shifts)[::-1]
        text = "Flax rolls the axes by the shifts in the opposite order"
        yield Alternative("roll-axes", text, lambda: torch.roll(call.x, exchanged, dims))


def _more(call: FunctionCall) -> dict:
    return {name: value for name, value in call.kwargs.items() if name not in ("input", "pad")}


def repeated(call: FunctionCall) -> Iterator[Alternative]:
    """The whole of an axis again and again, in place of each of its entries, or the other way round."""
    x = call.x
    if not isinstance(x, torch.Tensor) or x.shape == call.result.shape or x.ndim != call.result.ndim:
        return
    axes = [axis for axis in range(x.ndim) if x.shape[axis] != call.result.shape[axis]]
    if len(axes) != 1:
        return
    (axis,) = axes
    times = call.result.shape[axis] // x.shape[axis]
    if call.name == "repeat_interleave":
        text = f"Flax repeats axis {axis} as a whole (tile), PyTorch each of its entries: heads in another order"
        sizes = [times if at == axis else 1 for at in range(x.ndim)]
        yield Alternative(REPEATS, text, lambda: x.repeat(sizes))
    else:
        text = f"Flax repeats each entry of axis {axis}, PyTorch the axis as a whole: heads in another order"
        yield Alternative(REPEATS, text, lambda: x.repeat_interleave(times, axis))


def merged(call: FunctionCall) -> Iterator[Alternative]:
    """Copies of heads, an axis of equal entries, that are merged with the axis beside them in the other order."""
    x, y = call.x, call.result
    if not isinstance(x, torch.Tensor) or y.ndim != x.ndim - 1 or x.ndim < 3:
        return
    for axis in range(x.ndim - 1):
        before, after = x.shape[axis : axis + 2]
        if min(before, after) < 2 or y.shape != (*x.shape[:axis], before * after, *x.shape[axis + 2 :]):
            continue
        for copies in (axis, axis + 1):
            if bool((x == x.narrow(copies, 0, 1)).all()):
                orders = ("each of its entries", "the axis as a whole (tile)")
                flax, theirs = orders if copies == axis else orders[::-1]
                text = f"Flax repeats {flax}, PyTorch {theirs}: heads in another order"
                yield Alternative(REPEATS, text, lambda axis=axis: x.transpose(axis, axis + 1).reshape(y.shape))


def shifted(call: FunctionCall) -> Iterator[Alternative]:
    """Positions that start one earlier or later, or run the other way."""
    x = call.result
    if isinstance(x, torch.Tensor) and x.ndim == 1 and x.numel() > 1:
        for by in (1, -1, 2):
            text = f"Flax's numbers start at {float(x[0]) + by:g}, PyTorch's at {float(x[0]):g} (positions, offsets)"
            yield Alternative("offset", text, lambda by=by: x + by)
        first, last = (f"{float(x[at]):g}" for at in (0, -1))
        text = f"Flax counts from {last} to {first}, PyTorch from {first} to {last} (positions)"
        yield Alternative("order-reversed", text, lambda: x.flip(0))


def exchanged(call: FunctionCall) -> Iterator[Alternative]:
    """A product of a square matrix that is transposed on one side."""
    first, second = call.args[:2]
    if second.ndim >= 2 and second.shape[-1] == second.shape[-2] > 1:
        text = "Flax multiplies by the transposed matrix"
        yield Alternative("transposed", text, lambda: torch.matmul(first, second.transpose(-1, -2)))
    if first.ndim == second.ndim > 2:  # scores of attention
        size = first.shape[-1]
        for factor, what in ((size**-0.5, f"root of {size}, the head's size"), (1 / size, f"head's size, {size}")):
            text = f"Flax divides the scores by the {what}, more than PyTorch"
            yield Alternative("attention-scale", text, lambda factor=factor: call.result * factor)
