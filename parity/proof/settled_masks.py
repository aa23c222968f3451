"""Masks that a model makes of uniform numbers by hand: one side keeps where u < keep, the other where u >= 1 - keep."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from parity.arrays.layout import named_leaves, transposed
from parity.arrays.torch_arrays import to_numpy
from parity.layers.calls import given_values, layer_calls
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin


def with_masks_by_hand(twin: Twin) -> Twin:
    """Returns the twin with PyTorch's uniform numbers as 1 - u, where the outputs in training are nearer so.

    The two are the same distribution: `floor(keep + u)`, `u < keep` and a framework's own dropout are all right.
    """
    if not twin.uncertain:
        return twin
    device = jax.devices("cpu")[0]
    root = given_values(twin, FlaxRun(twin, "float64", device), train=True).get(((), 0))
    if root is None:
        return twin
    turned = replace(twin, turned=twin.uncertain)
    plain, other = (_apart(each, root.outputs) for each in (twin, turned))
    return turned if other < plain / 2 else twin


def _apart(twin: Twin, ours: Sequence[jax.Array]) -> float:
    """Returns the distance of the outputs of both models."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(twin.start)
    first = layer_calls(twin, run, twin.batches[0], train=True)[0]
    squares = 0.0
    for (name, theirs), array in zip(named_leaves(first.output, "output"), ours, strict=True):
        numbers = np.asarray(array)
        numbers = transposed(numbers, twin.axes.get(name, tuple(range(numbers.ndim))))
        squares += float(np.sum(np.square(to_numpy(theirs) - numbers)))
    return squares**0.5
