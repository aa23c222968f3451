"""Matrices of a graph divided by the degrees of its nodes: by rows, by columns, or by both roots."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "degree-normalisation"
ROWS, COLUMNS, BOTH = "by the degrees of its rows", "by the degrees of its columns", "by the roots of both degrees"


def by_roots(call: FunctionCall) -> Iterator[Alternative]:
    """Yields d_i a_ij d_j with one of the two factors twice."""
    for product, factor in (call.args[:2], call.args[1::-1]):
        made = call.behind(product) if isinstance(factor, torch.Tensor) else None
        if made is None or made.name not in ("mul", "rmul") or len(made.args) < 2:
            continue
        for other in made.args[:2]:
            turned = isinstance(other, torch.Tensor) and other.ndim == factor.ndim > 1 and factor.shape != other.shape
            if turned and torch.equal(other.mT, factor):
                of_rows = other.shape[-1] == 1
                twice = lambda x: f"Flax divides a matrix {x}, PyTorch {BOTH}"  # noqa: E731
                yield Alternative(CAUSE, twice(ROWS if of_rows else COLUMNS), lambda p=product, o=other: p * o)
                once = product / other * factor * factor
                yield Alternative(CAUSE, twice(COLUMNS if of_rows else ROWS), lambda once=once: once * 1)


def of_edges(call: FunctionCall) -> Iterator[Alternative]:
    """Yields d[i] * d[j] of a list of edges i, j with the number of one end twice."""
    first, second = map(call.behind, call.args[:2])
    if not first or not second or not first.name == second.name == "getitem":
        return
    if first.x.ndim != 1 or not torch.equal(first.x, second.x) or torch.equal(first.args[1], second.args[1]):
        return
    for factor, which in zip(call.args[:2], ("first", "second")):
        text = f"Flax takes the number of an edge's {which} end twice, PyTorch those of both ends (roots of degrees)"
        yield Alternative(CAUSE, text, lambda factor=factor: factor * factor)


def by_sums(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a_ij / d_i with the degrees of the columns, or with the roots of both."""
    x, degrees = (*call.args, None)[:2]
    if not isinstance(x, torch.Tensor) or not isinstance(degrees, torch.Tensor) or x.ndim < 2:
        return
    axis = next((axis for axis in (-1, -2) if degrees.ndim == x.ndim and degrees.shape[axis] == 1), None)
    if axis is None or x.shape[-1] != x.shape[-2] or not torch.equal(degrees, x.sum(axis, keepdim=True)):
        return
    now, other = (ROWS, COLUMNS) if axis == -1 else (COLUMNS, ROWS)
    text = f"Flax divides a matrix {BOTH}, PyTorch {now}"
    yield Alternative(CAUSE, text, lambda: x / degrees.sqrt() / degrees.mT.sqrt())
    text = f"Flax divides a matrix {other}, PyTorch {now}"
    yield Alternative(CAUSE, text, lambda: x / x.sum(-3 - axis, keepdim=True))
