"""Tensors of PyTorch's by name, and as numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from d2l_jax.turns import Tensors
from parity.arrays.key import Arrays
from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.twin.twin import State, TorchTurn, Twin


def leaves(tensors: Tensors) -> list[tuple[str, torch.Tensor]]:
    """Returns (name, tensor) of every tensor, "output" or "output.0"."""
    return [leaf for name, value in tensors.items() for leaf in named_leaves(value, name)]


def touched(tensors: Tensors) -> Tensors:
    """Returns the tensors as results of an operation: what is a leaf of the graph may not be changed in place."""
    return {name: mapped(lambda x, _: x * 1 if x.requires_grad else x, value, name) for name, value in tensors.items()}


def passed_on(turn: TorchTurn, tensors: Tensors, loss: torch.Tensor, more: Tensors) -> Tensors:
    """Returns the tensors that the next turn meets: numbers of this one, without their graph."""
    made = more | {turn.loss_name: loss}
    return tensors | {name: mapped(lambda x, _: x.detach(), value, name) for name, value in made.items()}


def mapped(function: Callable[[Any, str], Any], value: Any, name: str) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(mapped(function, x, f"{name}.{i}") for i, x in enumerate(value))
    return function(value, name)


def merged(twin: Twin) -> dict[str, tuple[str, ...]]:
    """{name in reports: the tensors of PyTorch that it stands for}."""
    return {leaf.name: (leaf.key, *leaf.merged) for leaf in twin.leaves}


def joined(twin: Twin, arrays: Arrays, mean: bool = False) -> Arrays:
    """Returns by name in reports what Flax has too; the sum of what it keeps as one array (of gradients, the mean).

    Flax may keep some rows alone: those that are no sum, or those that are one.
    """
    join = np.mean if mean else np.sum
    whole: dict[str, np.ndarray] = {}
    rows: dict[str, list[tuple[int, int]]] = {}
    for leaf in twin.leaves:
        parts = [arrays[key] for key in (leaf.key, *leaf.merged) if key in arrays]
        if len(parts) == 1 + len(leaf.merged):
            whole[leaf.name] = join(parts, 0) if leaf.merged else parts[0]
            rows.setdefault(leaf.name, []).extend([leaf.rows] if leaf.rows else [])
    return {name: _cut(array, sorted(rows[name])) for name, array in whole.items()}


def _cut(array: np.ndarray, rows: list[tuple[int, int]]) -> np.ndarray:
    if not rows or not array.ndim or sum(end - first for first, end in rows) == len(array):
        return array
    return np.concatenate([array[first:end] for first, end in rows])


def rounded(state: State) -> State:
    """To values that float32 holds exactly, so that both precisions can start from them."""
    slots = {name: {k: _rounded(a) for k, a in slots.items()} for name, slots in state.slots.items()}
    return State({key: _rounded(a) for key, a in state.tensors.items()}, slots)


def _rounded(array: np.ndarray) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    array = array.astype(np.float32)
    return np.where(np.abs(array) < 1e-37, np.float32(0), array)  # XLA flushes smaller ones to 0


def parameters(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Every parameter under each of its names."""
    return list(model.named_parameters(remove_duplicate=False))


def gradient(tensor: torch.Tensor) -> np.ndarray:
    """Zeros where PyTorch keeps None: JAX knows no such difference."""
    return to_numpy(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
