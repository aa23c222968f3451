"""Data parallelism: the same step, its state on every device and its batch cut over them (book, section 13.5)."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from d2l_jax.errors import InputError

AXIS = "data"


def mesh_of(devices: int) -> Mesh:
    """Returns a mesh of the first `devices` devices along one axis, "data".

    Raises InputError where there are fewer.
    """
    here = jax.devices()
    if devices < 1 or devices > len(here):
        raise InputError(f"--devices {devices}: there are {len(here)} here; give a number from 1 to {len(here)}")
    return Mesh(np.array(here[:devices]), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Puts a copy of every array, of a state say, on each device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def sharded(batch: Any, mesh: Mesh) -> Any:
    """Cuts every array of a batch along its first axis into one piece for each device; scalars are copied.

    Batch statistics stay those of the whole batch, as with PyTorch's SyncBatchNorm.

    Raises InputError where the examples do not divide over the devices.
    """
    for array in jax.tree.leaves(batch):
        if array.ndim and array.shape[0] % mesh.size:
            raise InputError(
                f"a batch of {array.shape[0]} does not divide over {mesh.size} devices; a multiple of it is right"
            )
    cut = NamedSharding(mesh, PartitionSpec(AXIS))
    copied = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda array: jax.device_put(array, cut if array.ndim else copied), batch)
