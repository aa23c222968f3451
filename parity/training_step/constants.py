"""Constants of a step: tables that either side holds, which float32 knows to a digit, and no map names.

PyTorch's are buffers of modules that the step reaches and tensors in its closure; JAX's are numbers of the state and
of the closure. What a step changes is none, and what both sides hold alike is data, which nothing has rounded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.arrays.torch_arrays import to_numpy
from parity.sides.constants import Shift
from parity.training_step.closure import Closure, closure_of
from parity.training_step.jax_state import Leaves
from parity.training_step.pair import StepPair
from parity.training_step.torch_memory import Snapshot, Value, reached


@dataclass(frozen=True)
class Constants:
    """The constants of both sides.

    torch:    the identities of PyTorch's
    state:    the paths of those in JAX's state
    closures: JAX's steps by number, as programs of their constants, and the places of those that count
    """

    pair: StepPair
    torch: list[int]
    state: list[tuple]
    closures: dict[int, tuple[Closure, list[int]]]

    @property
    def in_jax(self) -> bool:
        """Tells whether JAX's side holds any."""
        return bool(self.state or self.closures)

    def of_torch(self, snapshot: Snapshot, shift: Shift) -> Snapshot:
        """Returns PyTorch's state with its own shifted."""
        moved = {name: snapshot.values[name] for name in self.torch}
        arrays = {name: torch.as_tensor(shift(to_numpy(value.array))) for name, value in moved.items()}
        values = {name: replace(value, array=arrays[name].to(value.array.device)) for name, value in moved.items()}
        return replace(snapshot, values=snapshot.values | values)

    def of_jax(self, leaves: Leaves, shift: Shift) -> Leaves:
        """Returns JAX's state with its own shifted."""
        return leaves | {path: shift(np.asarray(leaves[path])) for path in self.state}

    def jax_taken(self, number: int, leaves: Leaves, shift: Shift) -> tuple[Leaves, Any]:
        """Takes JAX's step of that number in float64, with what its closure holds shifted."""
        if number not in self.closures:
            return self.pair.jax_taken(number, leaves, "float64")
        closure, places = self.closures[number]
        return closure.taken(leaves, places, shift)


def constants_of(
    pair: StepPair, numbers: Iterable[int], theirs: tuple[Snapshot, Snapshot], ours: tuple[Leaves, Leaves]
) -> Constants:
    """Returns the constants of the steps of those numbers.

    theirs, ours: the states before them and after, in which a constant is the same
    """
    closures = {number: closure for number in numbers if (closure := closure_of(pair, number, ours[0]))}
    rounded = {number: closure.rounded for number, closure in closures.items()}
    in_torch = _Held(to_numpy(value.array) for value in theirs[0].values.values() if not value.exact)
    in_closures = [x for of_one in rounded.values() for x in of_one.values()]
    in_jax = _Held([*ours[0].values(), *jax.tree.leaves(pair.batches), *in_closures])
    places = {n: [place for place, x in of_one.items() if x not in in_torch] for n, of_one in rounded.items()}
    return Constants(
        pair,
        _torch_constants(pair, *theirs, in_jax),
        _state_constants(pair, *ours),
        {number: (closures[number], some) for number, some in places.items() if some},
    )


def _torch_constants(pair: StepPair, before: Snapshot, after: Snapshot, in_jax: "_Held") -> list[int]:
    """Returns PyTorch's: no parameters, slots, averages or counterparts of JAX's; in a closure, no data either."""
    side = pair.torch
    mapped = {key for leaf in pair.leaves for key in (leaf.key, *leaf.merged)}
    modules = [side.model, *reached(side.memory.roots, torch.nn.Module)]
    known = [value for key, value in side.model.state_dict(keep_vars=True).items() if key in mapped]
    known += [parameter for module in modules for parameter in module.parameters()]
    known += reached([*reached(side.memory.roots, torch.optim.Optimizer), side.others], torch.Tensor)
    buffers = {id(buffer) for module in modules for buffer in module.buffers()}
    alone = before.values.keys() - {id(tensor) for tensor in known}
    same = [name for name in before.values if name in alone and _unchanged(before.values[name], after.values.get(name))]
    return [name for name in same if name in buffers or to_numpy(before.values[name].array) not in in_jax]


def _unchanged(value: Value, after: Value | None) -> bool:
    """Tells whether a number that was computed is as it was."""
    computed = not value.exact or value.tensor.is_complex()
    return computed and after is not None and torch.equal(value.array.to(after.array.dtype), after.array)


def _state_constants(pair: StepPair, before: Leaves, after: Leaves) -> list[tuple]:
    """Returns the paths of numbers of JAX's state without a counterpart that the step leaves as they are."""
    known = {leaf.path for leaf in pair.leaves} | {leaf.path for copy in pair.copies for leaf in copy.leaves}
    alone = [path for path in pair.roles.buffers if path not in known]
    return [path for path in alone if np.array_equal(np.asarray(before[path]), np.asarray(after[path]))]


class _Held:
    """Arrays of floating-point numbers that one side holds, in any layout."""

    def __init__(self, arrays: Iterable[Any]):
        self._by_size: dict[int, list[np.ndarray]] = {}
        for array in arrays:
            if jnp.issubdtype(getattr(array, "dtype", np.int32), jnp.floating):
                self._by_size.setdefault(np.size(array), []).append(_sorted(array))

    def __contains__(self, array: np.ndarray) -> bool:
        others = self._by_size.get(array.size, ())
        return bool(others) and any(np.array_equal(_sorted(array), other) for other in others)


def _sorted(array: Any) -> np.ndarray:
    return np.sort(np.asarray(array, np.float32), axis=None)
