"""Tables that a model holds and does not train, such as masks and indices, of which Flax has other numbers."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.tables import Named, Replacing, tables_of
from parity.blame.marks import flax_told
from parity.twin.twin import State, Twin

MOST_TRIALS = 60
SMALLEST = 4  # numbers of a table


def flax_arrays(twin: Twin, state: State, train: bool) -> list[np.ndarray]:
    """Returns what Flax computes anywhere of the shapes of PyTorch's tables, in whatever order of axes; each once."""
    shapes = {tuple(sorted(table.shape)) for table in _tables(twin.torch.model).values()}
    wanted = lambda x: tuple(sorted(getattr(x, "shape", ()))) in shapes  # noqa: E731
    found = flax_told(twin, state, train, lambda _, __, results: filter(wanted, results)) if shapes else []
    unlike: list[np.ndarray] = []
    for array in found:
        if not any(array.shape == other.shape and np.array_equal(array, other) for other in unlike):
            unlike.append(array)
    return unlike


def constant_trials(
    model: torch.nn.Module,
    run: Callable[[Replacing], Sequence[np.ndarray]],
    arrays: Sequence[np.ndarray],
) -> Iterator[tuple[str, str, Any, str]]:
    """Yields what PyTorch's model computes with one of Flax's arrays in the place of a table.

    run: computes under a mode, and returns the pieces that are compared
    """
    trials = ((place, table, other) for place, table in _tables(model).items() for other in _others(table, arrays))
    for (owner, name), table, other in itertools.islice(trials, MOST_TRIALS):
        try:
            pieces = run(Replacing(model, {(owner, name): other}))
        except UNFIT:
            continue
        unlike = int(np.sum(other != table))
        path = f"{owner}.{name}" if owner else name
        yield "table", f"Flax has {unlike} of the {table.size} numbers of PyTorch's {path} otherwise", pieces, owner


def _tables(model: torch.nn.Module) -> Named:
    return {place: x.detach().cpu().numpy() for place, x in tables_of(model).items() if x.numel() >= SMALLEST}


def _others(table: np.ndarray, arrays: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields Flax's arrays in the table's shape that have other numbers; none where one of them has the same."""
    turned = [other for array in arrays for other in _turned(array, table.shape)]
    if not any(np.allclose(table, other, rtol=1e-6, atol=1e-6) for other in turned):
        yield from turned


def _turned(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for axes in itertools.permutations(range(array.ndim)) if array.ndim <= 4 else ():
        if tuple(array.shape[axis] for axis in axes) == shape:
            yield array.transpose(axes)
