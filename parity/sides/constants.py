"""Constants that a model holds: tables, divisors and rates that were computed in float32 before the check began.

No map names them and both models may have computed them by other roundings, so that they are known to a digit of
float32 only. Where that digit may explain a gap in float64, it is measured how far it moves each tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.sides.disturb import one_ulp

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch

Shift = Callable[[np.ndarray], np.ndarray]


def unmoved(array: np.ndarray) -> np.ndarray:
    """Returns the constant as it is."""
    return array


def one_digit(seed: int) -> Shift:
    """Returns a function that moves constants to a neighbour in float32, at random."""
    disturb = one_ulp(seed)

    def shift(array: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(array):  # as the real numbers that it is made of
            return shift(np.ascontiguousarray(array).view(f"f{array.itemsize // 2}")).view(array.dtype)
        return np.where(np.isfinite(array), disturb(array.astype(np.float32)), array).astype(array.dtype)

    return shift


def moves(number: int) -> Iterator[Shift]:
    """Returns so many moves of a digit of float32, each at random."""
    return map(one_digit, range(number))


class HoldsConstants(Protocol):
    """A run of either side: its constants are moved whenever it loads a state."""

    shift: Shift


@contextmanager
def shifting(run: HoldsConstants, shift: Shift) -> Iterator[None]:
    """Moves the constants of the run within the block."""
    run.shift = shift
    try:
        yield
    finally:
        run.shift = unmoved


def torch_constants(model: torch.nn.Module, leaves: Sequence[Leaf]) -> dict[str, np.ndarray]:
    """Returns PyTorch's buffers and frozen parameters of floating-point or complex numbers that Flax has not.

    And the numbers of float32 that its modules hold, by the names of their attributes.
    """
    from parity.arrays.torch_arrays import to_numpy

    names = {key for leaf in leaves for key in leaf.keys}
    tensors = [*model.named_buffers(), *((name, x) for name, x in model.named_parameters() if not x.requires_grad)]
    held = {name: to_numpy(x).copy() for name, x in tensors if name not in names and _computed(x)}
    attributes = [(where, *each) for where, module in model.named_modules() for each in vars(module).items()]
    numbers = {f"{where}.{name}": np.asarray(x) for where, name, x in attributes if is_of_float32(x)}
    return held | numbers


def put_constant(model: torch.nn.Module, name: str, array: np.ndarray) -> None:
    """Puts it where the model holds it."""
    from parity.arrays.torch_arrays import to_torch

    where, _, last = name.rpartition(".")
    module = model.get_submodule(where)
    held = getattr(module, last)
    if isinstance(held, float):
        setattr(module, last, float(array))
    else:
        held.data.copy_(to_torch(array))


def is_of_float32(value: Any) -> bool:
    """Tells whether a number was computed in float32, as `torch.linspace(0, 1, 4)[1].item()`; short ones are exact."""
    if type(value) is not float:
        return False
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    return float(rounded) == value != float(str(rounded))


def _computed(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def flax_constants(buffers: Tree, leaves: Sequence[Leaf]) -> dict[tuple, Any]:
    """Returns Flax's arrays of floating-point numbers, by path, that have no counterpart in PyTorch.

    A sparse one is a tree of its numbers and their places.
    """
    paths = {leaf.path for leaf in leaves}
    arrays = [(path, x) for path, x in flatten(buffers) if path not in paths and hasattr(x, "dtype")]
    return {path: jax.tree.map(np.asarray, x) for path, x in arrays if jnp.issubdtype(x.dtype, jnp.floating)}


def with_constants(buffers: Tree, constants: dict[tuple, Any], dtype: str, shift: Shift) -> Tree:
    """Returns the tree with those constants in that precision, shifted."""

    def moved(array: np.ndarray) -> jax.Array:
        floating = np.issubdtype(array.dtype, np.floating)
        return jnp.asarray(shift(array.astype(jnp.dtype(dtype))) if floating else array)

    own = {path: jax.tree.map(moved, constant) for path, constant in constants.items()}
    return unflatten({**dict(flatten(buffers)), **own}) if own else buffers
