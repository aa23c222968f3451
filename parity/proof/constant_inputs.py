"""Inputs of one number alone, as zeros of a first state or a mask of ones: whether both models look at them.

No batch tells it, as all have that number, nor do gradients, which one side may stop. So some of it is altered.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.tree_util import tree_map

from parity.arrays.key import Arrays, Key, Record
from parity.arrays.layout import named_leaves
from parity.blame.diagnosis.calls import UNFIT
from parity.compare.rows import Row, failure, sound
from parity.compare.scale import largest_gap, scales_of
from parity.proof.steps import Sides
from parity.result import Blame
from parity.twin.twin import Batch, Twin

LIMIT = 1e-6  # as of numbers beyond bounds
MASKED = -1e9  # what is added to scores that do not count
Outputs = tuple[Record, Record]  # PyTorch's and Flax's


def of_one_number(batch: Batch) -> Arrays:
    """Returns the inputs all of whose numbers are equal, by name."""
    given = named_leaves(batch.tensors.get("input", ()), "input")
    return {name: array for name, array in given if array.size and np.all(array == array.flat[0])}


def constant_inputs(
    twin: Twin, sides: Sides, constant: Arrays, marks: Collection[str]
) -> tuple[list[Row], list[Blame]]:
    """Returns a failing row and a blame for each constant input that one side does not look at, or in another way.

    constant: those of the first batch, as `of_one_number` lists them
    marks:    inputs whose gradients differ
    """
    batch = twin.batches[0]
    plain = _outputs(twin, sides, batch)
    rows, blames = [], []
    if plain is None:
        return [], []
    for name, array in constant.items():
        altered = (_outputs(twin, sides, _altered(batch, array, value)) for value in _others(array))
        text = _told([(plain, each) for each in altered if each], name in marks)
        if text:
            text = f"{name} is one number alone in this batch; with another one in it, {text}"
            rows.append(failure(Key(1, "forward", name), text))
            blames.append(Blame("", "forward", "input-ignored", text))
    return rows, blames


def _told(trials: Sequence[tuple[Outputs, Outputs]], differ: bool) -> str:
    """Returns what is wrong in every one of the trials that move outputs of either side."""
    moved = [(*(_moved(*pair) for pair in zip(plain, other, strict=True)), other) for plain, other in trials]
    moved = [each for each in moved if each[0] or each[1]]
    if moved and not any(flax for _, flax, _ in moved):
        return "PyTorch's outputs change, and Flax's do not"
    if moved and not any(torch for torch, _, _ in moved):
        return "Flax's outputs change, and PyTorch's do not"
    if moved and differ and all(_moved(*other) for *_, other in moved):
        return "both sides' outputs change, and differ"
    return ""


def _moved(before: Record, after: Record) -> bool:
    scales = scales_of(before)
    return any(largest_gap(after[key], array) > LIMIT * scales[key][0] for key, array in before.items())


def _others(array: np.ndarray) -> Iterator[Any]:
    """Yields what may stand in its place: of whole numbers a neighbour, as of lengths; of a mask the opposite."""
    value = array.flat[0]
    if array.dtype == bool:
        yield not value
    elif np.issubdtype(array.dtype, np.integer):
        yield value - 1 if value > 0 else value + 1
    else:
        yield from (0,) if value else (1, MASKED)


def _altered(batch: Batch, array: np.ndarray, value: Any) -> Batch:
    """Returns the batch with every second number of the array exchanged."""
    other = array.copy()
    other.reshape(-1)[::2] = value
    inputs = tree_map(lambda x: other if x is array else x, batch.tensors["input"])
    return replace(batch, tensors=batch.tensors | {"input": inputs})


def _outputs(twin: Twin, sides: Sides, batch: Batch) -> Outputs | None:
    """Returns the outputs of the first step; None where such numbers are none that the models take."""
    try:
        both = (
            sides.exact.taken(1, twin.start, batch=batch),
            sides.flax["float64"].taken(1, twin.start, set(), batch=batch),
        )
    except UNFIT:
        return None
    theirs, ours = ({k: x for k, x in each.items() if k.phase == "forward" and "output" in k.tensor} for each in both)
    shared = theirs.keys() & ours.keys()
    if not shared or not all(map(sound, (*theirs.values(), *ours.values()))):
        return None
    return {key: theirs[key] for key in shared}, {key: ours[key] for key in shared}
