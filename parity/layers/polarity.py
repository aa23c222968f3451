"""Masks of the other polarity: true is masked in PyTorch's model, and seen in Flax's, which each reads its own way."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.arrays.layout import as_torch
from parity.arrays.torch_arrays import to_numpy
from parity.layers.calls import Values
from parity.layers.flax_layer import Alone
from parity.layers.ports import Ports


def of_other_polarity(alone: Sequence[Alone], values: dict[tuple, Values]) -> list[Alone]:
    """Returns the layers to which Flax's model gives the opposite of PyTorch's masks, with their masks turned.

    values: what Flax's calls are given, see `given_values`
    """
    pairs = [(each, values.get((each.layer.ours.path, each.layer.ours.number))) for each in alone]
    turned = [(each, _turned(each.ports, given)) for each, given in pairs if given]
    return [each._replace(ports=ports) for each, ports in turned if len(ports.tensors) > len(each.ports.tensors)]


def _turned(ports: Ports, given: Values) -> Ports:
    inputs, tensors, turned = [], list(ports.tensors), dict(ports.turned)
    for (number, axes), array in zip(ports.inputs, given.inputs, strict=True):
        mask = to_numpy(ports.tensors[number])
        is_mask = mask.dtype == bool == array.dtype and number not in ports.turned
        if is_mask and np.array_equal(as_torch(np.asarray(array), axes, mask.shape), ~mask):
            turned[len(tensors)] = (number, np.logical_not)
            inputs.append((len(tensors), axes))
            tensors.append(~ports.tensors[number])
        else:
            inputs.append((number, axes))
    return replace(ports, inputs=tuple(inputs), tensors=tuple(tensors), turned=turned)
