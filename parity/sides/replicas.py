"""Flax's step with batch statistics of each device's share: the step of `d2l_jax.train.replicas` on every device."""

from functools import partial

import jax
from jax import lax
from jax.sharding import PartitionSpec

from d2l_jax.train import TrainState
from d2l_jax.train.devices import AXIS
from d2l_jax.train.replicas import replica_step
from d2l_jax.train.steps import Seen
from d2l_jax.turns import Tensors
from parity.sides.flax import named_tensors
from parity.sides.sharded import ShardedRun

SHARED = PartitionSpec()
CUT = PartitionSpec(AXIS)


class ReplicaRun(ShardedRun):
    """`ShardedRun` whose devices take the step each on its share, and average their gradients."""

    def _watched(self, state: TrainState, batch: Tensors) -> tuple[TrainState, list[Seen]]:
        """Takes the step with everything in between, as of the whole batch: means of losses and gradients."""

        def share(state: TrainState, batch: Tensors) -> tuple[TrainState, Seen]:
            moments = list[Seen]()
            run = partial(self.flax.run, train=True)
            after, _ = replica_step(run, self.turns, state, batch, lambda _, moment: moments.append(moment))
            return after, _of_all(moments[-1], after, self.mesh.size)

        seen = Seen._make([SHARED, CUT, SHARED, CUT, SHARED, SHARED, SHARED])
        spread = jax.shard_map(share, mesh=self.mesh, in_specs=(SHARED, CUT), out_specs=(SHARED, seen), check_vma=False)
        after, moment = spread(state, named_tensors(batch))
        return after, [moment]


def _of_all(seen: Seen, after: TrainState, devices: int) -> Seen:
    loss, gradients = lax.pmean((seen.loss, seen.gradients), AXIS)
    return seen._replace(
        loss=loss,
        gradients=gradients,
        input_gradients=jax.tree.map(lambda g: g / devices, seen.input_gradients),  # of the mean of all losses
        buffers=after.buffers,
    )
