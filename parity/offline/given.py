"""What a side is given, as flat arrays: the states that its steps start from, and the batches."""

from collections.abc import Sequence
from itertools import count

import numpy as np

from parity.offline.file import Arrays
from parity.twin.twin import Batch, State


def flattened(states: Sequence[State], batches: Sequence[Batch]) -> Arrays:
    """{"state/0/tensor/conv.weight", "state/1/slot/momentum_buffer/conv.weight", "batch/0/input/0", ...}."""
    found: Arrays = {}
    for number, state in enumerate(states):
        found |= {f"state/{number}/tensor/{key}": array for key, array in state.tensors.items()}
        for name, slots in state.slots.items():
            found |= {f"state/{number}/slot/{slot}/{name}": np.asarray(a) for slot, a in slots.items()}
    for number, batch in enumerate(batches):
        several = isinstance(batch.targets, list | tuple)
        targets = batch.targets if several else [batch.targets]
        kinds = {"input": batch.inputs, "targets" if several else "target": targets, "draw": batch.draws}
        found |= {f"batch/{number}/{kind}/{i}": np.asarray(a) for kind, all in kinds.items() for i, a in enumerate(all)}
    return found


def restored(given: Arrays) -> tuple[list[State], tuple[Batch, ...]]:
    """The reverse."""
    return list(_states(given)), tuple(_batches(given))


def _states(given: Arrays):
    for number in count():
        tensors = _below(given, f"state/{number}/tensor/")
        if not tensors:
            return
        slots: dict[str, Arrays] = {}
        for key, array in _below(given, f"state/{number}/slot/").items():
            slot, _, name = key.partition("/")
            slots.setdefault(name, {})[slot] = array
        yield State(tensors, slots)


def _batches(given: Arrays):
    for number in count():
        inputs, one, several, draws = (
            _listed(given, f"batch/{number}/{kind}/") for kind in ("input", "target", "targets", "draw")
        )
        if not inputs:
            return
        yield Batch(tuple(inputs), several or one[0], tuple(draws))


def _listed(given: Arrays, start: str) -> list[np.ndarray]:
    found = _below(given, start)
    return [found[str(number)] for number in range(len(found))]


def _below(given: Arrays, start: str) -> Arrays:
    return {key.removeprefix(start): array for key, array in given.items() if key.startswith(start)}
