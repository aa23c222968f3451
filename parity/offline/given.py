"""The start of either side as flat arrays: the states that its steps start from, and the batches."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from parity.arrays.key import Arrays
from parity.twin.twin import Batch, State

SEVERAL = {"tuple": tuple, "list": list}


def flattened(states: Sequence[State], batches: Sequence[Batch]) -> Arrays:
    """Returns {"state/0/tensor/conv.weight", "state/1/slot/momentum_buffer/conv.weight", "batch/0/one/input", ...}."""
    arrays: Arrays = {}
    for number, state in enumerate(states):
        arrays |= {f"state/{number}/tensor/{key}": array for key, array in state.tensors.items()}
        for name, slots in state.slots.items():
            arrays |= {f"state/{number}/slot/{slot}/{name}": np.asarray(a) for slot, a in slots.items()}
        arrays |= {f"state/{number}/rate/{name}": np.asarray(rate) for name, rate in state.rates.items()}
    for number, batch in enumerate(batches):
        for name, value in batch.tensors.items():
            arrays |= _listed(f"batch/{number}/{type(value).__name__}/{name}", value)
        arrays |= _listed(f"batch/{number}/draws/all", batch.random_numbers)
    return arrays


def _listed(place: str, value: Any) -> Arrays:
    if isinstance(value, tuple | list):
        return {f"{place}/{i}": np.asarray(array) for i, array in enumerate(value)}
    return {f"{place.replace('/ndarray/', '/one/')}": np.asarray(value)}


def restored(arrays: Arrays) -> tuple[list[State], tuple[Batch, ...]]:
    """Returns the states and batches that `flattened` took apart; after every batch there is a state."""
    states = list(_states(arrays))
    return states, tuple(_batch(arrays, number) for number in range(len(states) - 1))


def _states(arrays: Arrays) -> Iterator[State]:
    for number in count():
        tensors = _below(arrays, f"state/{number}/tensor/")
        if not tensors:
            return
        slots: dict[str, Arrays] = {}
        for key, array in _below(arrays, f"state/{number}/slot/").items():
            slot, _, name = key.partition("/")
            slots.setdefault(name, {})[slot] = array
        rates = {name: float(rate) for name, rate in _below(arrays, f"state/{number}/rate/").items()}
        yield State(tensors, slots, rates)


def _batch(arrays: Arrays, number: int) -> Batch:
    tensors: dict[str, Any] = dict(_below(arrays, f"batch/{number}/one/"))
    for kind, make in SEVERAL.items():
        parts: dict[str, dict[int, np.ndarray]] = {}
        for key, array in _below(arrays, f"batch/{number}/{kind}/").items():
            name, _, place = key.rpartition("/")
            parts.setdefault(name, {})[int(place)] = array
        tensors |= {name: make(found[i] for i in sorted(found)) for name, found in parts.items()}
    numbers = _below(arrays, f"batch/{number}/draws/all/")
    order = [name for name in ("input", "targets") if name in tensors]
    in_order = {name: tensors[name] for name in (*order, *(n for n in tensors if n not in order))}
    return Batch(in_order, tuple(numbers[str(i)] for i in range(len(numbers))))


def _below(arrays: Arrays, start: str) -> Arrays:
    return {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
