"""Whole numbers that layers are given: where Flax's looks up other rows, the two calls are not of the same kind.

PyTorch's module may make positions of the tokens that it is given, where Flax's is given the positions.
"""

from collections.abc import Iterable

import numpy as np
import torch

from parity.compare.rows import Row
from parity.layers.layer import Layer
from parity.layers.received import received

OTHER_INDICES = "it is given other whole numbers in Flax: compared in the model"


def looking_up(layers: Iterable[Layer], rows: Iterable[Row]) -> list[Layer]:
    """Returns the layers that differ and that are given whole numbers."""
    wrong = {row.key.layer for row in rows if not row.passed}
    return [layer for layer in layers if layer.label in wrong and any(map(_is_index, layer.ports.tensors))]


def of_other_indices(layers: Iterable[Layer], values: dict) -> set[str]:
    """Returns the labels of those that the two models give other whole numbers.

    values: what Flax's calls are given, see `given_values`
    """
    return {
        tensor.label
        for layer in layers
        for tensor in received(layer, layer.ports, values)
        if np.issubdtype(tensor.torch.dtype, np.integer) and not np.array_equal(tensor.torch, tensor.flax)
    }


def _is_index(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype != torch.bool
