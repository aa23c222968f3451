"""Dense layers of PyTorch's: stock ones, and modules that somebody wrote, which are told by what they compute."""

from collections.abc import Mapping

import numpy as np
import torch

from d2l_jax.weights.leaf import Rows
from parity.match.torch_layers import TorchLayer


def axis_of_units(layer: TorchLayer, arrays: Mapping[str, np.ndarray]) -> int | None:
    """Returns which axis of a layer's weight counts its units, 1 where it is (inputs, units); None of other layers."""
    if isinstance(layer.module, torch.nn.Linear):
        return 0
    if isinstance(layer.module, torch.nn.Embedding):
        return 1
    weight = arrays.get(layer.tensors.get("weight", ""))
    if type(layer.module).__module__.startswith("torch.") or weight is None or weight.ndim != 2 or not layer.calls:
        return None
    others = [arrays[key] for name, key in layer.tensors.items() if name != "weight"]
    x, y = next(iter(layer.calls[0].inputs), None), layer.calls[0].output
    kernels = {1: weight, 0: weight.T}
    return next((axis for axis, kernel in kernels.items() if _computes(kernel, others, x, y)), None)


def rows_of_units(units: Rows, axis: int, count: int) -> Rows:
    """Returns the rows of a weight that some of all units have, whose axis this is."""
    first, end, *length = units
    return (first, end, length[0] if length else count, axis) if axis else units


def _computes(kernel: np.ndarray, others: list[np.ndarray], x: np.ndarray | None, y: object) -> bool:
    if x is None or not isinstance(y, np.ndarray) or y.shape != (*x.shape[:-1], kernel.shape[1]):
        return False
    if x.shape[-1:] != kernel.shape[:1]:
        return False
    biases = [np.zeros(1), *(other for other in others if other.shape == kernel.shape[1:])]
    return any(np.allclose(x @ kernel + bias, y) for bias in biases)
