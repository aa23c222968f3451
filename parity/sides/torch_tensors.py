"""Tensors of PyTorch's by name, and as numbers."""

from collections.abc import Collection, Container, Sequence

import numpy as np
import torch

from d2l_jax.turns import Tensors
from d2l_jax.weights.leaf import Leaf, Rows, rows_joined, rows_of
from parity.arrays.key import Arrays
from parity.arrays.layout import mapped, named_leaves
from parity.arrays.torch_arrays import as_numpy, to_numpy
from parity.twin.twin import State, TorchTurn


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


def joined(leaves: Sequence[Leaf], arrays: Arrays, mean: bool = False) -> Arrays:
    """Returns by name in reports what Flax has too; the sum of what it keeps as one array (or the mean).

    Rows of a tensor that Flax keeps apart are joined again under each name.
    """
    join = np.mean if mean else np.sum
    pieces: dict[str, list[tuple[Rows | None, np.ndarray]]] = {}
    for leaf in leaves:
        there = [arrays[key] for key in leaf.keys if key in arrays]
        parts = [rows_of(array, leaf.rows) if array.ndim else array for array in there]
        if len(parts) == len(leaf.keys):
            piece = join(parts, 0) if len(parts) > 1 else parts[0]
            pieces.setdefault(leaf.name, []).append((leaf.rows, piece))
    return {name: rows_joined(parts) for name, parts in pieces.items()}


def rounded(state: State, lone: Collection[str] = ()) -> State:
    """To values that float32 holds exactly, so that both precisions can start from them.

    lone: slots that Flax has not, which goes on by itself: rounded, a row's mean and a column's would be two numbers
    """
    slots = {
        name: {k: a if k in lone else _rounded(a) for k, a in slots.items()} for name, slots in state.slots.items()
    }
    return State({key: _rounded(a) for key, a in state.tensors.items()}, slots, state.rates)


def _rounded(array: np.ndarray) -> np.ndarray:
    if isinstance(array, np.generic) or not np.issubdtype(array.dtype, np.floating):
        return array
    array = array.astype(np.float32)
    return np.where(np.abs(array) < 1e-37, np.float32(0), array)  # XLA flushes smaller ones to 0


def parameters(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Every parameter under each of its names."""
    return list(model.named_parameters(remove_duplicate=False))


def gradient(tensor: torch.Tensor) -> np.ndarray:
    """Returns the gradient; zeros where PyTorch keeps None: JAX knows no such difference."""
    return to_numpy(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)


def moved(tensor: torch.Tensor, before: np.ndarray) -> np.ndarray:
    """Returns by how much a tensor has moved; in the memory of `before`, which is not needed any more."""
    return np.subtract(as_numpy(tensor), before, out=before)


def arrays_of(model: torch.nn.Module, chosen: Container[str] | None = None) -> Arrays:
    """Returns copies of the tensors of a model under these keys; of all where none are chosen."""
    return {key: to_numpy(x) for key, x in model.state_dict().items() if chosen is None or key in chosen}
