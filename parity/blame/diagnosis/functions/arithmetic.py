"""Sums, products and reductions under other conventions."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.altered.norms import EPS
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.lines import line_of_caller

STOP_MISSING = "stop-gradient-missing"


def sums(call: FunctionCall) -> Iterator[Alternative]:
    """Yields one term alone, as for a residual connection that was left out, and another eps."""
    if len(call.args) < 2:
        return
    first, second = call.args[:2]
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        for term, left_out in ((second, "first"), (first, "second")):
            if term.shape == call.result.shape:
                text = f"Flax leaves out the {left_out} term of a sum"
                yield Alternative("residual-missing", text, lambda term=term: term * 1)
        yield Alternative("sign", "Flax subtracts the second term of a sum", lambda: call.result - 2 * second)
    if not isinstance(second, float | int) or not isinstance(first, torch.Tensor):
        return
    if not 0 <= second <= 1:
        yield Alternative("term-missing", f"Flax does not add {second:g}", lambda: first * 1)
    elif second:
        for eps in EPS if second < 1e-2 else (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3, 1.0):  # one that smooths a fraction
            if eps != second:
                text = f"Flax computes with eps={eps:g} where PyTorch has {second:g}"
                text = text if eps or second < 1e-2 else f"Flax does not add {second:g}"
                cause = "eps" if eps or second < 1e-2 else "term-missing"
                yield Alternative(cause, text, lambda eps=eps: call.again(first, eps))


def differences(call: FunctionCall) -> Iterator[Alternative]:
    if isinstance(call.x, torch.Tensor) and call.x.shape == call.result.shape:
        yield Alternative("term-missing", "Flax leaves out what is subtracted", lambda: call.x * 1)
        yield Alternative("sign", "Flax subtracts the other way round", lambda: -call.result)
        if isinstance(second := (*call.args, None)[1], torch.Tensor):
            yield Alternative("sign", "Flax adds what PyTorch subtracts", lambda: call.x + second)


def products(call: FunctionCall) -> Iterator[Alternative]:
    """A factor or a divisor left out, or used twice."""
    factor = call.args[1] if len(call.args) > 1 else None
    divides = "div" in call.name
    if isinstance(factor, torch.Tensor) and not divides and factor.shape == call.result.shape:
        yield Alternative("factor-missing", "Flax leaves out the first factor of a product", lambda: factor * 1)
    if not call.elementwise or factor is None:
        return
    what = "divide" if divides else "multiply"
    does = "divides" if divides else "multiplies"
    shown = f" by {factor:.6g}" if isinstance(factor, float | int) else " by another tensor"
    yield Alternative("factor-missing", f"Flax does not {what}{shown}", lambda: call.x * 1)
    other = "multiplies" if divides else "divides"
    inverse = lambda: call.x * factor if divides else call.x / factor  # noqa: E731
    yield Alternative("factor-inverted", f"Flax {other}{shown}, PyTorch {does} by it", inverse)
    if isinstance(factor, float | int):
        text = f"Flax's factor is {factor * factor:.6g}, PyTorch's {factor:.6g}, its root"
        yield Alternative("factor-squared", text, lambda: call.again(call.x, factor * factor))
        for heads in (2, 3, 4, 6, 8, 12, 16) if call.x.ndim > 2 else ():
            other = factor * heads ** (-0.5 if (factor < 1) != divides else 0.5)
            text = f"Flax {does} by {other:.6g}, PyTorch by {factor:.6g}: the root of {heads} heads' size"
            yield Alternative("attention-scale", text, lambda other=other: call.again(call.x, other))
    if isinstance(factor, float | int) or (isinstance(factor, torch.Tensor) and factor.ndim == 0):
        for other, name in CIRCLE.items():
            text = f"Flax {does} by {name} more than PyTorch"
            yield Alternative("factor-pi", text, lambda other=other: call.again(call.x, factor * other))


CIRCLE = {math.pi: "pi", 2 * math.pi: "2 pi", 1 / math.pi: "1 / pi", 0.5 / math.pi: "1 / (2 pi)"}
REDUCTIONS = {
    **{"mean": torch.mean, "sum": torch.sum, "max": torch.amax, "amax": torch.amax, "amin": torch.amin},
    "logsumexp": torch.logsumexp,
}


def reductions(call: FunctionCall) -> Iterator[Alternative]:
    """A sum for a mean, a maximum for either, along another axis."""
    dim = call.option(1, "dim")
    x = call.x
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return
    if isinstance(call.result, tuple):  # values and indices
        for alternative in _reduced(call, x, dim):
            whole = lambda a=alternative: type(call.result)((a.result(), call.result[1]))  # noqa: E731
            yield alternative._replace(result=whole)
    else:
        yield from _reduced(call, x, dim)


def other_axes(x: torch.Tensor, axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yields the axes with another in the place of one, without one, and with one more; of a single one, this alone."""
    kept = sorted({*range(x.ndim)} - {axis % x.ndim for axis in axes})
    if len(axes) > 1:
        for left_out, axis in itertools.product(axes, kept):
            yield tuple(axis if a == left_out else a for a in axes)
        yield from (tuple(a for a in axes if a != left_out) for left_out in axes)
    yield from ((*axes, axis) for axis in kept)


def _mixed(call: FunctionCall, x: torch.Tensor, axes: tuple[int, ...]) -> Iterator[Alternative]:
    """Yields a mean along one of several axes in a sum, and the other way round, as of a loss of examples."""
    for axis, size in ((axis % x.ndim, x.shape[axis]) for axis in axes):
        if call.name == "sum":
            text = f"Flax takes the mean along axis {axis} of sums, PyTorch the sum along {axes}"
            yield Alternative("mean-for-sum", text, lambda size=size: call.result / size)
        elif call.name == "mean":
            text = f"Flax takes the sum along axis {axis} of means, PyTorch the mean along {axes}"
            yield Alternative("sum-for-mean", text, lambda size=size: call.result * size)


def _reduced(call: FunctionCall, x: torch.Tensor, dim: Any) -> Iterator[Alternative]:
    keep = bool(call.option(2, "keepdim", False))
    axes = tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    reduction = REDUCTIONS[call.name]
    for name in ("mean", "sum", "max"):
        if REDUCTIONS[name] is not reduction:
            text = f"Flax takes the {name} along {axes}, PyTorch the {call.name}"
            yield Alternative(f"{name}-for-{call.name}", text, lambda name=name: REDUCTIONS[name](x, axes, keep))
    if call.name == "sum" and bool((x >= 0).all()):
        text = "Flax takes the root of a sum (a norm, a distance), PyTorch the sum itself, of squares"
        yield Alternative("root-of-sum", text, lambda: call.result.sqrt())
    if len(axes) > 1:
        yield from _mixed(call, x, axes)
    yield from _examples(call, x, tuple(axis % x.ndim for axis in axes), keep)
    for other in other_axes(x, axes) if keep else ():
        text = f"Flax takes the {call.name} along axes {other}, PyTorch along {axes}"
        yield Alternative("axis", text, lambda other=other: reduction(x, other, keep))
    if len(axes) == 1:
        axis = axes[0] % x.ndim
        for other in (axis for axis in range(x.ndim) if axis != axes[0] % x.ndim):
            text = f"Flax takes the {call.name} along axis {other}, PyTorch along axis {axis}"
            yield Alternative("axis", text, lambda other=other: reduction(x, (other,), keep))
        for place, what in ((0, "first"), (-1, "last")):
            text = f"Flax takes the {what} of axis {axis}, PyTorch the {call.name} along it"
            yield Alternative(f"{what}-for-{call.name}", text, lambda place=place: x.select(axis, place))


def _examples(call: FunctionCall, x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> Iterator[Alternative]:
    """A sum over the batch for one of each example, a mean over an example's entries for their sum, and vice versa."""
    if call.name not in ("sum", "mean") or x.ndim < 2:
        return
    reduction = REDUCTIONS[call.name]
    within = tuple(axis for axis in axes if axis)
    does = "sums" if call.name == "sum" else "averages"
    if axes == within:
        text = f"Flax {does} over the batch, too, PyTorch within each example"
        yield Alternative("over-batch", text, lambda: reduction(x, (0, *axes), keep))
    elif within:
        text = f"Flax {does} within each example, PyTorch over the batch, too"
        yield Alternative("per-example", text, lambda: reduction(x, within, keep))
        entries = math.prod(x.shape[axis] for axis in within)
        other, verb, factor = ("mean", "averages", 1 / entries) if does == "sums" else ("sum", "sums", entries)
        text = f"Flax {verb} over the {entries} entries of each example, PyTorch {does} them"
        yield Alternative(f"{other}-for-{call.name}", text, lambda: call.result * factor)


def bags(call: FunctionCall) -> Iterator[Alternative]:
    """A bag of embeddings reduced otherwise, its padding counted or not."""
    mode = call.kwargs.get("mode", "mean")
    for other in ("sum", "mean", "max"):
        if other != mode:
            text = f"Flax takes the {other} of a bag of embeddings, PyTorch the {mode}"
            yield Alternative(f"bag-{other}", text, lambda other=other: call.again(*call.args[:6], mode=other))
    if call.kwargs.get("padding_idx") is not None:
        text = f"Flax counts the padding of a bag too, PyTorch leaves out index {call.kwargs['padding_idx']}"
        yield Alternative("bag-padding", text, lambda: call.again(padding_idx=None))


def variances(call: FunctionCall) -> Iterator[Alternative]:
    """Divides by n in place of n - 1, or the other way round: JAX's default is n, PyTorch's n - 1."""
    unbiased = call.kwargs.get("unbiased", next((a for a in call.args[1:] if isinstance(a, bool)), True))
    biased = call.kwargs.get("correction", 1) == 0 or not unbiased
    dims = call.kwargs.get("dim", next((a for a in call.args[1:] if not isinstance(a, bool)), None))
    keep = bool(call.kwargs.get("keepdim", False))
    cause, text = (
        ("unbiased-variance", "Flax divides by n - 1 in a variance, PyTorch by n")
        if biased
        else ("biased-variance", "Flax divides by n in a variance (jnp.var's default), PyTorch by n - 1")
    )
    function = getattr(torch, call.name)  # of var_mean the pair, too
    dims = tuple(range(call.x.ndim)) if dims is None else dims
    yield Alternative(cause, text, lambda: function(call.x, dims, correction=int(biased), keepdim=keep))


def bounds(call: FunctionCall) -> Iterator[Alternative]:
    """Leaves out both bounds, or one of them."""
    if not call.elementwise:
        return
    yield Alternative("unclipped", f"Flax leaves out {call.name}", lambda: call.x * 1)
    low, high = call.option(1, "min"), call.option(2, "max")
    if low is not None and high is not None:
        for which, bound, kept in (("lower", low, {"max": high}), ("upper", high, {"min": low})):
            shown = f" of {bound:g}" if isinstance(bound, float | int) else ""
            text = f"Flax leaves out the {which} bound{shown}"
            yield Alternative("unclipped", text, lambda kept=kept: torch.clamp(call.x, **kept))


def detached(call: FunctionCall) -> Iterator[Alternative]:
    where = f", {line}" if (line := line_of_caller()) else ""
    text = f"Flax lets the gradient through where PyTorch detaches{where}: no jax.lax.stop_gradient"
    yield Alternative(STOP_MISSING, text, lambda: call.x * 1)


def waves(call: FunctionCall) -> Iterator[Alternative]:
    other = {"sin": torch.cos, "cos": torch.sin}[call.name]
    yield Alternative("sine-and-cosine", f"Flax takes the {other.__name__} for the {call.name}", lambda: other(call.x))


def reciprocal_roots(call: FunctionCall) -> Iterator[Alternative]:
    """Yields another eps under a root, or outside of it, or no root."""
    added = call.behind(call.x)
    if added and added.name == "add" and isinstance(added.option(1, "other"), float):
        under = added.option(1, "other")
        text = f"Flax adds eps={under:g} outside of a root, PyTorch under it"
        outside = lambda: added.x.sqrt() + under  # noqa: E731
        yield Alternative("eps-outside", text, outside if call.name == "sqrt" else lambda: 1 / outside())
    if call.name == "sqrt":
        yield Alternative("root-missing", "Flax leaves out a root", lambda: call.x * 1)
    for eps in (1e-5, 1e-6, 1e-8, 1e-12):
        text = f"Flax adds eps={eps:g} under a root, PyTorch nothing"
        yield Alternative("eps", text, lambda eps=eps: call.function(call.x + eps))
