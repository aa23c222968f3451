"""How the results of two calls belong together."""

from collections.abc import Callable
from typing import Any

from flax import linen, nnx

from parity.arrays.layout import Axes, between, from_first, joins, named_leaves
from parity.layers.calls import FlaxCall
from parity.models.calls import TorchCall

LSTM = (nnx.LSTMCell, nnx.OptimizedLSTMCell, linen.LSTMCell, linen.OptimizedLSTMCell)


def results_of(
    theirs: TorchCall, ours: FlaxCall, flat: Callable[[tuple[int, ...]], Any], joined: bool = False
) -> list[tuple[str, int, Axes]]:
    """Returns PyTorch's results by name, each with the number of Flax's of as many numbers and the order of axes.

    joined: of an argument one side has several axes as one, as of results then, too
    """
    names = [(name, tuple(x.shape)) for name, x in named_leaves(theirs.output, "output")]
    results = [x.shape for _, x in named_leaves(ours.output, "output")]
    pairs = []
    left = [(i, results[i]) for i in _as_returned(theirs.output, ours, len(results))]
    for name, shape in names:
        same = [i for i, r in left if sorted(r) == sorted(shape)]
        alike = [i for i, r in left if from_first(r) == from_first(shape)]  # of several none is sure
        if same or len(alike) == 1:
            number = (same or alike)[0]
            left = [(i, r) for i, r in left if i != number]
            of_one_rank = len(results[number]) == len(shape)
            pairs.append((name, number, between(results[number], shape) if of_one_rank else tuple(range(len(shape)))))
    of_all = len(names) == len(results) and not pairs
    flattened = of_all and [flat(shape) for _, shape in names] == [flat(shape) for shape in results]
    if flattened or of_all and joined and all(map(joins, results, (shape for _, shape in names))):
        pairs = [(name, i, tuple(range(len(shape)))) for i, (name, shape) in enumerate(names)]
    return pairs


def _as_returned(theirs: Any, ours: FlaxCall, count: int) -> list[int]:
    """Returns the order of results in which PyTorch has them: Flax's cells return (states, output), often."""
    pairs = [value for value in (theirs, ours.output) if isinstance(value, tuple | list) and len(value) == 2]
    there, here = ([isinstance(part, tuple | list | dict) for part in pair] for pair in (*pairs, (), ())[:2])
    if there != here[::-1] or there == here:
        return states_first(ours, count)
    behind = sum(1 for _ in named_leaves(ours.output[0], ""))
    return [*range(behind, count), *range(behind)]


def states_first(ours: FlaxCall, count: int) -> list[int]:
    """The order of arrays in which PyTorch has them: h before c, where Flax's LSTM cells have (c, h)."""
    carried = isinstance(ours.module, LSTM) and count > 1
    return [1, 0, *range(2, count)] if carried else list(range(count))
