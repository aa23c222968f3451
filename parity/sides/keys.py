"""What both sides call the things that they record."""

import numpy as np

Record = dict[str, np.ndarray]


def phase(number: int, name: str) -> str:
    """The first step's phases go by their name alone."""
    return name if number == 1 else f"step {number} {name}"


def input_names(count: int) -> list[str]:
    return ["input"] if count == 1 else [f"input.{number}" for number in range(count)]
