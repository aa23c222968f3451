"""Rotary positions of a part of a head's features, or of all of them."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.rotation import turned

CAUSE = "rope-share"
NEAR = 1e-6  # tables are made in float32
MOST_SIZES = 8


class Rotated(NamedTuple):
    """Features x that are rotated as x * cos + turned(x) * sin, at positions along an axis of the tables.

    halves: those a half apart are rotated together, not neighbours
    base:   frequencies are base^(-i / half)
    """

    x: torch.Tensor
    halves: bool
    base: float
    axis: int
    axes: int
    positions: torch.Tensor

    def again(self, x: torch.Tensor, size: int) -> torch.Tensor:
        """Returns x, of which the first features are rotated alike, with the frequencies of so many."""
        frequencies = self.base ** (-torch.arange(size // 2).to(x) / (size // 2))
        angles = torch.outer(self.positions.to(x), frequencies)
        angles = torch.cat([angles, angles], -1) if self.halves else angles.repeat_interleave(2, -1)
        shape = [len(angles) if axis == self.axis else 1 for axis in range(self.axes - 1)]
        angles = angles.reshape(*shape, size)
        first = x[..., :size]
        return torch.cat([first * angles.cos() + turned(first, self.halves) * angles.sin(), x[..., size:]], -1)


def of_part(call: FunctionCall) -> Iterator[Alternative]:
    """Yields features of which more are rotated, or fewer, where PyTorch joins rotated ones and others."""
    parts = call.args[0] if call.args else ()
    if len(parts) != 2 or call.option(1, "dim", 0) not in (-1, parts[0].ndim - 1):
        return
    rotated = _rotated(call, parts[0])
    if rotated is not None:
        yield from _others(rotated, torch.cat([rotated.x, parts[1]], -1))


def of_whole(call: FunctionCall) -> Iterator[Alternative]:
    """Yields features of which a part is rotated, where PyTorch rotates all."""
    rotated = _rotated(call, call.result) if call.name == "add" else None
    if rotated is not None:
        yield from _others(rotated, rotated.x)


def _others(rotated: Rotated, x: torch.Tensor) -> Iterator[Alternative]:
    features, now = x.shape[-1], rotated.x.shape[-1]
    step = max(2, 2 * (features // (2 * MOST_SIZES)))
    for size in range(features, 0, -step):
        if size % 2 == 0 and size != now:
            text = f"Flax rotates {size} of a head's {features} features, PyTorch {now} (rotary positions)"
            yield Alternative(CAUSE, text, partial(rotated.again, x, size))


def _rotated(call: FunctionCall, tensor: torch.Tensor) -> Rotated | None:
    """Returns what the tensor is, if it is a rotation: a sum of two products, each with a table."""
    made = call.behind(tensor)
    terms = [call.behind(term) for term in made.args[:2]] if made and made.name == "add" else []
    if tensor.ndim < 3 or tensor.shape[-1] < 4 or tensor.shape[-1] % 2:
        return None
    terms = [term for term in terms if term and term.name == "mul" and all(map(torch.is_tensor, term.args[:2]))]
    pairs = [(term.args[:2], term.args[1::-1]) for term in terms]
    for x, cos in pairs[0] if len(pairs) == 2 else ():
        for other, sin in pairs[1]:
            if _are_tables(cos, sin, tensor) and x.shape == other.shape == tensor.shape:
                for halves in (True, False):
                    if torch.equal(turned(x, halves), other):
                        return _with_tables(x, halves, cos, sin)
    return None


def _are_tables(cos: torch.Tensor, sin: torch.Tensor, of: torch.Tensor) -> bool:
    fits = cos.shape == sin.shape and 2 <= cos.ndim <= of.ndim and cos.shape[-1] == of.shape[-1]
    return fits and bool(((cos.square() + sin.square() - 1).abs() < NEAR).all())


def _with_tables(x: torch.Tensor, halves: bool, cos: torch.Tensor, sin: torch.Tensor) -> Rotated | None:
    """Reads the base and the positions from the tables: the first frequency is 1, all fall by one factor."""
    long = [axis for axis in range(cos.ndim - 1) if cos.shape[axis] > 1]
    if len(long) != 1:
        return None
    rows = torch.atan2(sin, cos).reshape(-1, x.shape[-1])
    half = x.shape[-1] // 2
    angles = (rows[:, :half] if halves else rows[:, ::2]).double()
    moves = (angles[1] - angles[0]) % (2 * torch.pi)
    if abs(float(moves[0]) - 1) > NEAR or float(moves[1]) <= 0:
        return None
    base = float(moves[1]) ** -half
    base = float(f"{base:.4g}") if abs(float(f"{base:.4g}") / base - 1) < half * NEAR else base
    start = round(float(angles[0, -1] * base ** ((half - 1) / half)))
    axis = long[0] - cos.ndim + x.ndim
    return Rotated(x, halves, base, axis, x.ndim, torch.arange(start, start + len(rows)))
