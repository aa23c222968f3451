"""Random numbers of which neither kinds nor shapes tell what they mean to either side: the outputs in training do.

Of uniform numbers a model makes masks by hand, where one side keeps u < keep and the other u >= 1 - keep; and the axes
of a mask may stand in several orders, as where there are as many heads as examples. Of like calls of dropout any may be
the one that Flax alone makes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import jax
import numpy as np

from parity.arrays.layout import named_leaves, transposed
from parity.arrays.torch_arrays import to_numpy
from parity.layers.calls import given_values, layer_calls
from parity.match.arrangement import EXACT
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin

Distance = Callable[[Twin], float]
MOST = 60  # layouts that are tried at a time
CALLS = 12  # of which Flax alone may make one


def with_settled_masks(twin: Twin) -> Twin:
    """Returns the twin with PyTorch's random numbers as they bring the outputs nearest: in another layout, as 1 - u.

    Of uniform numbers both are the same distribution: `floor(keep + u)`, `u < keep` and a framework's own dropout are
    all right. Where another call of Flax's may be one that PyTorch lacks, it is so if the outputs are equal then.
    """
    first, gap = _settled(twin)
    if not twin.otherwise or gap < EXACT:
        return first
    others = map(_settled, _other_ways(twin))
    return next((settled for settled, gap in others if gap < EXACT), first)


def _other_ways(twin: Twin) -> Iterator[Twin]:
    """Yields the twin with another of Flax's like calls of dropout as the one that PyTorch lacks."""
    for fields, drawn in twin.otherwise[:CALLS]:
        batches = tuple(replace(batch, random_numbers=x) for batch, x in zip(twin.batches, drawn, strict=True))
        yield replace(twin, batches=batches, **fields)


def _settled(twin: Twin) -> tuple[Twin, float]:
    """Returns the twin with what each number is to PyTorch, and how far apart the outputs are; 0 where none is open."""
    if not twin.uncertain and not twin.layouts and not twin.otherwise:
        return twin, 0.0
    device = jax.devices("cpu")[0]
    root = given_values(twin, FlaxRun(twin, "float64", device), train=True).get(((), 0))
    if root is None:
        return twin, 0.0
    apart = partial(_apart, ours=[np.asarray(x) for x in root.outputs])
    settled = _otherwise_laid(twin, apart) if twin.layouts else twin
    if twin.uncertain:
        settled = _nearer(settled, replace(settled, turned=twin.uncertain), apart)
    return settled, apart(settled) if twin.otherwise else 0.0


def _nearer(twin: Twin, other: Twin, apart: Distance) -> Twin:
    """Returns the other twin where it is nearer by half."""
    return other if apart(other) < apart(twin) / 2 else twin


def _otherwise_laid(twin: Twin, apart: Distance) -> Twin:
    """Returns the twin with random numbers in the layouts that are nearest, where these are nearer by half.

    Those of the same shapes, as of all layers, are laid alike; one kind after the other is laid anew, as long as it
    brings the outputs nearer.
    """
    kinds: dict[tuple, list[int]] = {}
    for place, found in twin.layouts.items():
        kinds.setdefault(found, []).append(place)
    best, least = twin, apart(twin)
    for _ in kinds:
        if least < EXACT:
            break
        laid = [dict.fromkeys(places, layout) for found, places in kinds.items() for layout in found][:MOST]
        tried = [replace(best, laid=best.laid | others) for others in laid]
        gaps = [apart(each) for each in tried]
        nearest = int(np.argmin(gaps))
        if gaps[nearest] >= least:
            break
        best, least = tried[nearest], gaps[nearest]
    return _nearer(twin, best, apart)


def _apart(twin: Twin, ours: Sequence[np.ndarray]) -> float:
    """Returns the distance of the outputs of both models, relative to the size of Flax's."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(twin.start)
    first = layer_calls(twin, run, twin.batches[0], train=True)[0]
    squares = 0.0
    for (name, theirs), array in zip(named_leaves(first.output, "output"), ours, strict=True):
        numbers = transposed(array, twin.axes.get(name, tuple(range(array.ndim))))
        squares += float(np.sum(np.square(to_numpy(theirs) - numbers)))
    size = sum(float(np.sum(np.square(array))) for array in ours)
    return (squares / (size or 1.0)) ** 0.5
