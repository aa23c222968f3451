"""Rows of embeddings for padding that are zero on both sides: whether both models look them up is seen with others."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity.arrays.key import Record
from parity.blame.diagnosis.calls import UNFIT
from parity.compare.rows import sound
from parity.compare.scale import largest_gap, scales_of
from parity.models.padding_rows import padding_rows
from parity.proof.steps import Sides
from parity.twin.twin import State, Twin

LIMIT = 1e-6  # as of numbers beyond bounds


def padding_notes(twin: Twin, sides: Sides) -> Iterator[str]:
    """Yields a line for each row for padding that one of both sides alone looks up."""
    mapped = {key for leaf in twin.leaves for key in leaf.keys}
    for key, row in padding_rows(twin.torch.model):
        if key in mapped and not _agree(twin, sides, _filled(twin.start, key, row)):
            yield (
                f"row {row} of {key}, that for padding, is zero in PyTorch's model and stays so: with other numbers in"
                " it, as a checkpoint may have, the outputs differ, since one side looks it up and the other does not"
            )


def _filled(state: State, key: str, row: int) -> State:
    table = state.tensors[key].copy()
    table[row] = np.abs(table).max()
    return replace(state, tensors=state.tensors | {key: table})


def _agree(twin: Twin, sides: Sides, state: State) -> bool:
    """Tells whether the outputs of the first step agree from that state, or the models do not run from it."""
    try:
        theirs = _outputs(sides.exact.taken(1, state))
        ours = _outputs(sides.flax["float64"].taken(1, state, set()))
    except UNFIT:
        return True
    scales = scales_of(theirs)
    pairs = [(theirs[key], ours[key], scales[key][0]) for key in theirs if key in ours]
    return all(largest_gap(a, b) <= LIMIT * scale for a, b, scale in pairs if sound(a) and sound(b))


def _outputs(record: Record) -> Record:
    return {key: array for key, array in record.items() if key.phase == "forward" and "output" in key.tensor}
