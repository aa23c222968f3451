"""Whole numbers are exact in any order of sums: a run that rounds every operation otherwise counts as before."""

import torch

from parity.sides.disturb_operations import EveryOperation, rounding_otherwise

TENTHS = torch.arange(1.0, 50.0, dtype=torch.float64) / 10


def sums(numbers: torch.Tensor) -> torch.Tensor:
    with rounding_otherwise(EveryOperation(0)):
        return numbers + numbers


def test_counts_stay():
    counts = torch.arange(50.0, dtype=torch.float64)
    assert torch.equal(sums(counts), 2 * counts)


def test_control_other_numbers_move():
    others = TENTHS[(2 * TENTHS).round() != 2 * TENTHS]
    assert bool((sums(others) != 2 * others).all())
