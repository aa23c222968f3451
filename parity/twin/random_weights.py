"""Values for every tensor of a model: none may hide a bug."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from d2l_jax.weights.leaf import Leaf
from parity.models.padding_rows import padding_rows
from parity.models.torch_buffers import varies


def random_weights(
    tensors: list[Leaf], model: torch.nn.Module | None, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Returns values for every tensor, biases and statistics too: a bias of 0 or a variance of 1 would hide bugs.

    What PyTorch's model alone has keeps its values there, and so do tables that a model of one's own computed, and
    rows for padding that are zero.
    """
    by_path: dict[tuple, np.ndarray] = {}
    values: dict[str, np.ndarray] = {}
    torch_values = {} if model is None else held_weights(model)
    whole = {leaf.key: torch_values[leaf.key].shape if leaf.rows else leaf.shape for leaf in tensors}
    tables = set() if model is None else set(_tables(model))
    for leaf in tensors:
        if leaf.path not in by_path or leaf.rows:
            drawn = _random_tensor(leaf, whole[leaf.key], random)
            by_path[leaf.path] = torch_values[leaf.key] if leaf.key in tables else drawn
        own = next((values[key] for key in leaf.keys if key in values), by_path[leaf.path])
        for key in leaf.keys:  # of a sum, equal ones: it is a number of float32, too
            values[key] = own
    for key, row in padding_rows(model) if model is not None else ():
        if key in values:
            values[key][row] = 0
    return torch_values | values | _tied(model, values)


def _tables(model: torch.nn.Module) -> Iterator[str]:
    """Yields buffers of modules that somebody wrote, which hold different numbers: rates of noise, positions, windows.

    Random numbers in their place may have no root. Statistics are equal numbers at first.
    """
    for key, buffer in model.named_buffers(remove_duplicate=False):
        owner = model.get_submodule(key.rpartition(".")[0])
        stock = type(owner).__module__.startswith("torch.nn.")
        if not stock and buffer.is_floating_point() and varies(buffer):
            yield key


def held_weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Returns the values that PyTorch's model holds, floating-point ones in float32."""
    tensors = {key: tensor.detach().cpu() for key, tensor in model.state_dict().items()}
    return {key: (x.float() if x.is_floating_point() else x).numpy() for key, x in tensors.items()}


def _tied(model: torch.nn.Module | None, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns one value for all names of a parameter that PyTorch shares, though Flax may not."""
    first: dict[int, np.ndarray] = {}
    named = () if model is None else model.named_parameters(remove_duplicate=False)
    return {key: first.setdefault(id(parameter), values[key]) for key, parameter in named if key in values}


def _random_tensor(leaf: Leaf, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    name = leaf.key.rpartition(".")[2]
    if np.issubdtype(leaf.dtype, np.integer):
        return np.asarray(random.integers(1, 9, shape), np.int64)
    if leaf.dtype == bool:
        return random.random(shape) < 0.5
    if "var" in name:
        return _float32(random.uniform(0.5, 2.0, shape))
    if name == "gamma" or (name == "weight" and len(shape) == 1):
        return _float32(random.uniform(0.5, 1.5, shape))
    scale = 1 / math.sqrt(fan_in_of(leaf)) if len(shape) > 1 and name not in ("beta", "moving_mean") else 0.3
    return _float32(scale * random.normal(size=shape))


def fan_in_of(leaf: Leaf) -> int:
    """Returns the inputs of one unit: PyTorch's weights have the units first, the book's own (in, out) last."""
    size = math.prod(leaf.shape)
    own_layout = leaf.axes == tuple(range(len(leaf.axes)))
    units = leaf.shape[-1 if own_layout else 0] if len(leaf.shape) > 1 else 1
    return max(1, size // units)


def _float32(array: Any) -> np.ndarray:
    return np.asarray(array, np.float32)
