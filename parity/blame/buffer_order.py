"""Buffers, as a queue or a running average, that Flax updates before it uses them, PyTorch afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.twin.twin import State


def updated_trials(
    start: State, computed: Callable[[State, bool], tuple[list[np.ndarray], State]]
) -> Iterator[FunctionTrial]:
    """Yields what PyTorch's model computes where a buffer holds before the step what it holds behind it; then all.

    computed: what the model computes from a state, and the state that it leaves, of a run that ends there or goes on
    """
    _, end = computed(start, False)
    moved = [name for name, array in start.tensors.items() if not np.array_equal(array, end.tensors[name])]
    floating = [name for name in moved if np.issubdtype(end.tensors[name].dtype, np.floating)]
    together = [tuple(floating)] if len(floating) > 1 else []
    for names in [*((name,) for name in floating), *together]:
        updated = replace(start, tensors=start.tensors | {name: end.tensors[name] for name in names})
        text = f"Flax updates {', '.join(names)} before it is used, PyTorch afterwards"
        yield "buffer-order", text, computed(updated, True)[0], names[0].rpartition(".")[0]
