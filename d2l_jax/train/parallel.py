"""Data-parallel training steps, with batch statistics of the whole batch or of each device's share."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
from flax import nnx
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from d2l_jax.cpu import plain_lax
from d2l_jax.cpu.compile import jit
from d2l_jax.errors import one_of
from d2l_jax.functional import Tree, parts, train_view
from d2l_jax.metrics import Metric
from d2l_jax.train.devices import AXIS
from d2l_jax.train.replicas import replica_step
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import EvalStep, Metrics, Run, Step, measured_step, step
from d2l_jax.turns import Tensors, Turn

BatchNorm = Literal["synchronised", "per-replica"]
SYNCHRONISED, PER_REPLICA = get_args(BatchNorm)


class Devices(NamedTuple):
    """The devices of a training run, and how batch normalisation is taken over them; see `make_parallel_step`."""

    mesh: Mesh
    batch_norm: BatchNorm = SYNCHRONISED


def make_parallel_step(
    model: nnx.Module,
    turns: Sequence[Turn],
    mesh: Mesh,
    metrics: Mapping[str, Metric] | None = None,
    batch_norm: BatchNorm = SYNCHRONISED,
) -> Step:
    """Returns `make_train_step` over the devices of a mesh: (state, batch) -> (state, metrics), the state donated.

    The state is copied to every device, `d2l_jax.train.devices.replicated`, and so is the next one; the batch is cut
    over them. A batch that does not divide, such as an epoch's last, is taken whole by every device.

    batch_norm: "synchronised" is the program of one device, which the compiler cuts (section 13.6): statistics of the
        whole batch, as with PyTorch's SyncBatchNorm. "per-replica" has every device take the step on its share, and
        averages the gradients (section 13.5): statistics of the share, as with DistributedDataParallel

    Raises InputError for another `batch_norm`.
    """
    run = parts(train_view(model)).run
    if batch_norm == SYNCHRONISED:
        return jit(cut_step(measured_step(partial(step, run, turns), turns, metrics), mesh), donate_argnums=0)
    if batch_norm == PER_REPLICA:
        return jit(_replicas(run, turns, mesh, metrics), donate_argnums=0)
    raise one_of("batch_norm", batch_norm, [SYNCHRONISED, PER_REPLICA])


def cut_step(whole: Callable[..., tuple[Any, Any]], mesh: Mesh) -> Callable[..., tuple[Any, Any]]:
    """Returns a step whose batch is cut over the devices, and whose results lie on each of them.

    It is traced in plain `lax`: the forms of `d2l_jax.cpu` are for one device.
    """
    copied = NamedSharding(mesh, PartitionSpec())

    def cut(state: TrainState, batch: Tensors) -> tuple[Any, Any]:
        lies = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs_of(batch, mesh))
        with plain_lax():
            results = whole(state, lax.with_sharding_constraint(batch, lies))
        return lax.with_sharding_constraint(results, copied)

    return cut


def cut_evaluation(whole: EvalStep, mesh: Mesh) -> EvalStep:
    """Returns an evaluation whose batch is cut over the devices, and whose results lie on each of them."""

    def cut(params: Tree, buffers: Tree, batch: Tensors) -> Metrics:
        lies = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs_of(batch, mesh))
        with plain_lax():
            results = whole(params, buffers, lax.with_sharding_constraint(batch, lies))
        return lax.with_sharding_constraint(results, NamedSharding(mesh, PartitionSpec()))

    return jit(cut)


def specs_of(batch: Any, mesh: Mesh) -> Any:
    """Returns for every array of a batch how it is cut: along its first axis, or not at all where one does not divide.

    Scalars are copied.
    """
    sizes = {array.shape[0] for array in jax.tree.leaves(batch) if array.ndim}
    divides = all(size % mesh.size == 0 for size in sizes)
    return jax.tree.map(lambda array: PartitionSpec(AXIS) if divides and array.ndim else PartitionSpec(), batch)


def _replicas(run: Run, turns: Sequence[Turn], mesh: Mesh, metrics: Mapping[str, Metric] | None) -> Step:
    one = measured_step(partial(replica_step, run, turns), turns, metrics)

    def spread(state: TrainState, batch: Tensors) -> tuple[TrainState, Metrics]:
        specs = specs_of(batch, mesh)
        is_cut = PartitionSpec(AXIS) in jax.tree.leaves(specs)

        def share(state: TrainState, batch: Tensors) -> tuple[TrainState, Metrics]:
            state, results = one(state, batch)
            return state, {name: _joined(value, is_cut) for name, value in results.items()}

        everywhere = PartitionSpec(), PartitionSpec()
        # Without the check of what varies over devices, a gradient is the device's own until it is averaged.
        return jax.shard_map(
            share, mesh=mesh, in_specs=(PartitionSpec(), specs), out_specs=everywhere, check_vma=False
        )(state, batch)

    return spread


def _joined(result: Any, is_cut: bool) -> Any:
    """Returns the mean of the devices' losses, or the sums of their (sum, count)."""
    if not isinstance(result, tuple):
        return lax.pmean(result, AXIS)
    return lax.psum(result, AXIS) if is_cut else result
