"""Distributions of initial numbers as people call them: "LeCun normal, std 0.19", "uniform within 0.33", "0"."""

import math
from dataclasses import dataclass

import numpy as np

ENOUGH = 200  # numbers that tell a uniform distribution from a normal one
MANY = 2000  # ... and a truncated normal from a whole one
CLOSE = 0.04  # of a width, relative


@dataclass(frozen=True)
class Fans:
    """Inputs and outputs of one unit; 0 where a tensor has none, and of a bias the inputs that its weight has."""

    inputs: int = 0
    outputs: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], own_layout: bool = False) -> "Fans":
        """Returns those of a weight in PyTorch's layout, (out, in, *window), or (in, out) in the book's own."""
        if len(shape) < 2:
            return cls()
        first, second, *window = shape[::-1] if own_layout and len(shape) == 2 else shape
        size = math.prod(window)
        return cls(second * size, first * size)


def named(numbers: np.ndarray, fans: Fans, bias: bool = False) -> str:
    """Returns the distribution that the numbers come from, in words; one number alone is told where all are equal."""
    first = numbers.flat[0]
    if np.all(numbers == first):
        return f"{first:.3g}"
    mean = float(np.mean(numbers))
    std = float(np.std(numbers))
    place = f" around {mean:.2g}" if abs(mean) > 6 * std / math.sqrt(numbers.size) else ""
    if numbers.size < ENOUGH:
        return f"random{place}, std {std:.2g}"
    family = _family((numbers - mean) / std, numbers.size)
    known = "" if place else _known(family.removeprefix("truncated "), std, fans, bias)
    truncated = " (truncated)" if known and family.startswith("truncated") else ""
    if family != "uniform":
        return f"{known or family}{truncated}{place}, std {std:.2g}"
    if place:
        return f"uniform from {numbers.min():.2g} to {numbers.max():.2g}"
    text = f"uniform within {math.sqrt(3) * std:.2g}, std {std:.2g}"
    return f"{known}, {text}" if known else text


def is_orthogonal(matrix: np.ndarray) -> bool:
    """Tells whether the rows, or else the columns, are orthogonal and equally long; of stacked squares, of each."""
    rows, columns = matrix.shape if matrix.ndim == 2 else (0, 0)
    if min(rows, columns) < 2 or not np.any(matrix):
        return False
    if rows > columns and rows % columns == 0 and all(map(is_orthogonal, np.split(matrix, rows // columns))):
        return True
    square = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    length = float(np.mean(np.diag(square)))
    return bool(np.all(np.abs(square / length - np.eye(len(square))) < 1e-4))


def _family(x: np.ndarray, size: int) -> str:
    """Returns the family of numbers of mean 0 and std 1."""
    largest = float(np.max(np.abs(x)))
    middle = float(np.mean(np.abs(x)))
    chance = 5 * 0.22 / math.sqrt(size)
    if largest < 1.8 and abs(middle - math.sqrt(3) / 2) < chance:
        return "uniform"
    if size >= MANY and largest < 2.35 and abs(middle - 0.822) < chance:
        return "truncated normal"
    if abs(middle - math.sqrt(2 / math.pi)) < chance:
        return "normal"
    return "random"


def _known(family: str, std: float, fans: Fans, bias: bool) -> str:
    """Returns the name of an initialiser of this width, or nothing."""
    if family not in ("normal", "uniform") or not fans.inputs:
        return ""
    if bias:
        torch_default = family == "uniform" and _equal(3 * std**2 * fans.inputs, 1)
        return "PyTorch's default, 1 / sqrt(fan_in)" if torch_default else ""
    if family == "uniform" and _equal(3 * std**2 * fans.inputs, 1):
        return "PyTorch's default, 1 / sqrt(fan_in)"
    both = (fans.inputs + fans.outputs) / 2
    gains = {f"LeCun {family}": (fans.inputs, 1), f"Xavier {family}": (both, 1), f"He {family}": (fans.inputs, 2)}
    gains |= {f"He {family} by fan_out": (fans.outputs, 2), f"{family}, 1 / sqrt(fan_out)": (fans.outputs, 1)}
    gains |= {f"PyTorch's default {family}, but by fan_out": (3 * fans.outputs, 1)} if family == "uniform" else {}
    gains |= {f"Xavier {family}, gain sqrt(2)": (both, 2), f"Xavier {family}, gain 5/3": (both, 25 / 9)}
    return next((name for name, (fan, gain) in gains.items() if _equal(std**2 * fan, gain)), "")


def _equal(value: float, expected: float) -> bool:
    return abs(math.sqrt(value / expected) - 1) < CLOSE
