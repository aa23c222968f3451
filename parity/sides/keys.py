"""Names of what both sides record: {"step 2 forward/output": array}."""

import numpy as np

Record = dict[str, np.ndarray]


def phase(number: int, name: str, turn: str = "") -> str:
    """Returns the name of a phase: the first step's go by their name alone, a named turn's stands before it."""
    called = f"{turn} {name}" if turn else name
    return called if number == 1 else f"step {number} {called}"


def input_names(count: int) -> list[str]:
    """Returns the names of a model's inputs."""
    return ["input"] if count == 1 else [f"input.{number}" for number in range(count)]
