"""Rotary positions that are written in two parts, or as complex numbers: other pairs, or the other way, are named."""

import numpy as np
import pytest
import torch
from altered import cause_of

T, SIZE = 5, 8
X = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 2, T, SIZE)))  # queries and keys
ANGLES = torch.outer(torch.arange(T).double(), 100.0 ** (-torch.arange(SIZE // 2).double() / (SIZE // 2)))


def two(x: torch.Tensor, halves: bool, sign: float = 1.0) -> torch.Tensor:
    a, b = x.chunk(2, -1) if halves else (x[..., ::2], x[..., 1::2])
    cos, sin = ANGLES.cos(), sign * ANGLES.sin()
    if halves:
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def parts(x: torch.Tensor) -> torch.Tensor:
    return two(x, halves=True)


def neighbours(x: torch.Tensor) -> torch.Tensor:
    return two(x, halves=False)


def turned(x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, -1)
    angles = torch.cat([ANGLES, ANGLES], -1)
    return x * angles.cos() + torch.cat((-b, a), dim=-1) * angles.sin()


def numbers(x: torch.Tensor) -> torch.Tensor:
    waves = torch.polar(torch.ones_like(ANGLES), ANGLES)
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * waves).flatten(-2)


def scores(rotated):
    """Gives what an attention compares: queries and keys, rotated alike."""

    def function(x: torch.Tensor) -> torch.Tensor:
        queries, keys = x.unbind(1)
        return rotated(queries) @ rotated(keys).mT

    return function


def name_of(rotated, flax) -> str:
    """The cause that is found where PyTorch rotates in one way, and Flax in another."""
    found = cause_of(scores(rotated), scores(flax), X)
    return found.name if found else ""


@pytest.mark.parametrize("rotated, halves", [(parts, True), (turned, True), (neighbours, False), (numbers, False)])
def test_other_pairs_and_the_other_way_are_named(rotated, halves):
    if rotated is not turned:  # whose tables are those of halves: projections tell it
        assert name_of(rotated, lambda x: two(x, halves=not halves)) == "rope-pairs"
    if rotated is not numbers:
        assert name_of(rotated, lambda x: two(x, halves, sign=-1.0)) == "rope-direction"


@pytest.mark.parametrize("rotated", [parts, neighbours])
def test_what_is_no_rotation_is_not_named_as_one(rotated):
    assert not name_of(rotated, lambda x: torch.tanh(x) * 0.3).startswith("rope")
