"""Whole runs of PyTorch's side."""

from collections.abc import Callable, Sequence

import numpy as np

from parity.arrays.key import Key, Record
from parity.sides.constants import Shift, unmoved
from parity.sides.disturb import one_ulp
from parity.sides.disturb_layers import Disturb
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import rounded
from parity.twin.twin import State, Twin


def run_torch(
    twin: Twin,
    dtype: str,
    device: str,
    states: Sequence[State] | None = None,
    seed: int = -1,
) -> tuple[Record, list[State]]:
    """Evaluates, then takes the twin's steps, each from its state; without states, from its own one, rounded.

    seed: of `one_ulp`, by which the weights, inputs and layers' outputs of each step are moved
    Returns the record and the states that the steps have started from, the last one being the end.
    """
    run = TorchRun(twin, dtype, device)
    starts = list(states or [twin.start])
    record: Record = {}
    for number in range(1, len(twin.batches) + 1):
        record |= run.taken(number, starts[number - 1], one_ulp(seed))
        run.advance()
        if states is None:
            starts.append(rounded(run.state()))
    return record, starts


def free_run_torch(
    twin: Twin,
    dtype: str,
    device: str,
    disturb: Disturb = np.asarray,
    shift: Shift = unmoved,
    keep: Callable[[Record], Record] = dict,
) -> Record:
    """Takes all steps in a row: parameters and buffers after each.

    keep: what of a step's record stays
    """
    run = TorchRun(twin, dtype, device, disturb)
    run.shift = shift
    record: Record = {}
    run.load(twin.start)
    for number, batch in enumerate(twin.batches, 1):
        run.train(batch)
        run.advance()
        record |= keep({Key(number, "after", name): array for name, array in run.tensors().items()})
    return record
