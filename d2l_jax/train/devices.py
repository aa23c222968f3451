"""Data parallelism: the same step, its state on every device and its batch cut over them (book, section 13.5)."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from d2l_jax.errors import InputError
from d2l_jax.train.host import from_host, to_host

AXIS = "data"


def mesh_of(devices: int | None = None) -> Mesh:
    """Returns a mesh of the first `devices` devices along one axis, "data"; of all, other processes' too, for None.

    Raises InputError where there are fewer.
    """
    here = jax.devices()
    count = len(here) if devices is None else devices
    if count < 1 or count > len(here):
        raise InputError(f"--devices {count}: there are {len(here)} here; give a number from 1 to {len(here)}")
    return Mesh(np.array(here[:count]), (AXIS,), axis_types=(AxisType.Auto,))


def leads() -> bool:
    """Tells whether this process writes the files of a run: the first of several, or the only one."""
    return jax.process_index() == 0


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Puts a copy of every array, of a state say, on each device; all processes call it, with the same numbers."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    if everywhere.is_fully_addressable:
        return jax.device_put(tree, everywhere)
    arrays = jax.tree.map(lambda array: jax.make_array_from_process_local_data(everywhere, array), to_host(tree))
    return from_host(arrays, tree)


def on_devices(tree: Any, mesh: Mesh | None) -> Any:
    """Puts every array on each device of the mesh; without a mesh, on the one that JAX takes."""
    return jax.device_put(tree) if mesh is None else replicated(tree, mesh)


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
