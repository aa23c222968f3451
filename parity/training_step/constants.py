"""Constants of a step: tables that either side holds, which float32 knows to a digit, and no map names.

PyTorch's are buffers of modules that the step reaches, for its other tensors may be data; JAX's are numbers of the
state. What a step changes is none.
"""

from dataclasses import replace

import numpy as np
import torch

from parity.arrays.torch_arrays import to_numpy
from parity.sides.constants import Shift
from parity.training_step.jax_state import Leaves
from parity.training_step.pair import StepPair
from parity.training_step.torch_memory import Snapshot, Value, reached


def torch_constants(pair: StepPair, before: Snapshot, after: Snapshot) -> list[int]:
    """Returns the identities of PyTorch's: buffers that are no slots, averages or counterparts of JAX's.

    before, after: what the step has reached then, in which a constant is the same
    """
    side = pair.torch
    mapped = {key for leaf in pair.leaves for key in (leaf.key, *leaf.merged)}
    known = [value for key, value in side.model.state_dict(keep_vars=True).items() if key in mapped]
    known += reached([*reached(side.memory.roots, torch.optim.Optimizer), side.others], torch.Tensor)
    modules = [side.model, *reached(side.memory.roots, torch.nn.Module)]
    buffers = {id(buffer) for module in modules for buffer in module.buffers()} - {id(tensor) for tensor in known}
    alone = {name: value for name, value in before.values.items() if name in buffers and _computed(value)}
    return [name for name, value in alone.items() if name in after.values and _equal(value, after.values[name])]


def _computed(value: Value) -> bool:
    return not value.exact or value.tensor.is_complex()


def _equal(one: Value, other: Value) -> bool:
    return torch.equal(one.array.to(other.array.dtype), other.array)


def with_torch_constants(snapshot: Snapshot, constants: list[int], shift: Shift) -> Snapshot:
    """Returns the snapshot with those constants shifted."""
    moved = {name: snapshot.values[name] for name in constants}
    arrays = {name: torch.as_tensor(shift(to_numpy(value.array))) for name, value in moved.items()}
    values = {name: replace(value, array=arrays[name].to(value.array.device)) for name, value in moved.items()}
    return replace(snapshot, values=snapshot.values | values)


def jax_constants(pair: StepPair, before: Leaves, after: Leaves) -> list[tuple]:
    """Returns the paths of JAX's: numbers of the state without a counterpart that the step leaves as they are."""
    known = {leaf.path for leaf in pair.leaves} | {leaf.path for copy in pair.copies for leaf in copy.leaves}
    alone = [path for path in pair.roles.buffers if path not in known]
    return [path for path in alone if np.array_equal(np.asarray(before[path]), np.asarray(after[path]))]


def with_jax_constants(leaves: Leaves, constants: list[tuple], shift: Shift) -> Leaves:
    """Returns the leaves with those constants shifted."""
    return leaves | {path: shift(np.asarray(leaves[path])) for path in constants}
