"""Tensors that layers are given in the models' own runs: a mistake before them shows there."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import torch

from parity.arrays.layout import as_flax, as_torch, named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.compare.scale import rms
from parity.layers.calls import Values, given_values
from parity.layers.layer import Layer
from parity.layers.ports import Ports
from parity.models.calls import Path
from parity.sides.flax import FlaxRun
from parity.twin.twin import Twin

DIGITS = 5e-7  # of float32, which a table may have on one side alone
FAR = 1e-4  # beside which they are no mistake


class Received(NamedTuple):
    """A tensor that a layer is given in the models' own runs.

    name, number: PyTorch's submodule, and which of its calls it is, from 0
    place:        which of the tensors among the call's arguments
    turned:       makes of that what is compared; of a mask what Flax has in its place
    """

    label: str
    torch: np.ndarray
    flax: np.ndarray
    name: str
    number: int
    place: int
    turned: Callable[[np.ndarray], np.ndarray] = np.asarray


def received(layer: Layer, ports: Ports, values: dict) -> list[Received]:
    """Returns what a layer is given on either side, by the values that Flax's calls are given."""
    given = values.get((layer.ours.path, layer.ours.number))
    call = layer.theirs
    theirs = [tensor for _, tensor in named_leaves((call.args, call.kwargs), "")]
    tensors = []
    for array, (number, axes) in zip(given.inputs if given else [], ports.inputs, strict=False):
        tensor = ports.tensors[number]
        source, turned = ports.turned.get(number, (number, np.asarray))
        original = ports.tensors[source]
        place = next(i for i, x in enumerate(theirs) if x.shape == original.shape and torch.equal(x, original))
        pair = to_numpy(tensor), as_torch(np.asarray(array), axes, tuple(tensor.shape))
        tensors.append(Received(layer.label, *pair, call.name, call.number, place, turned))
    return tensors


def received_without(twin: Twin, layers: Sequence[Layer], wrong: Collection[str], train: bool) -> list[Received]:
    """Returns what the layers are given where those of the labels hand on PyTorch's results, not their own."""
    return received_of(layers, values_without(twin, layers, wrong, train))


def received_of(layers: Sequence[Layer], values: dict) -> list[Received]:
    """Returns what the layers are given, by the values of Flax's calls."""
    return [tensor for layer in layers for tensor in received(layer, layer.ports, values)]


def values_without(
    twin: Twin, layers: Sequence[Layer], wrong: Collection[str], train: bool
) -> dict[tuple[Path, int], Values]:
    """Returns what Flax's calls are given and make of it where those of the labels hand on PyTorch's results."""
    device = jax.devices("cpu")[0]
    outputs = {}
    for layer in layers:
        results = dict(named_leaves(layer.theirs.output, "output"))
        flat, tree = jax.tree.flatten(layer.ours.output)
        ports = layer.ports
        if layer.label in wrong and len(ports.outputs) == len(flat):
            for name, number, axes in ports.outputs:
                flat[number] = as_flax(to_numpy(results[name]), axes, flat[number].shape)
            outputs[layer.ours.path, layer.ours.number] = jax.tree.unflatten(tree, flat)
    run = FlaxRun(twin, "float64", device)
    return given_values(twin, run, train, outputs)


def first_other(received: Iterable[Received], beside: float = 0.0) -> Received | None:
    """Returns the first tensor that is another one in Flax.

    One that differs by no more than digits of float32, as a table leaves that one side rounds, only where nothing
    differs by far more.

    beside: the relative gap of what is behind all of them
    """
    other = [(gap, tensor) for tensor in received if (gap := gap_of(tensor.torch, tensor.flax)) > 1e-10]
    clear = [tensor for _, tensor in other if not _spread(tensor) <= DIGITS]
    if max([beside, *(gap for gap, _ in other)]) >= FAR:
        return next(iter(clear), None)
    return next((tensor for _, tensor in other), None)


def _spread(tensor: Received) -> float:
    """Returns the root mean square of the difference, as rounding to float32 is measured; 1 of other shapes."""
    theirs, ours = (np.asarray(array, np.float64) for array in (tensor.torch, tensor.flax))
    return rms(theirs - ours) / max(rms(theirs), 1e-300) if theirs.shape == ours.shape else 1.0


def gap_of(torch: np.ndarray, flax: np.ndarray) -> float:
    """Returns the largest difference relative to the scale of PyTorch's tensor; of other shapes, infinity."""
    theirs, ours = (np.asarray(array, np.float64) for array in (torch, flax))  # masks too
    if theirs.shape != ours.shape:
        return math.inf
    gap = float(np.max(np.abs(theirs - ours), initial=0.0)) / (max(rms(theirs), 1e-300) if theirs.size else 1.0)
    return math.inf if math.isnan(gap) else gap
