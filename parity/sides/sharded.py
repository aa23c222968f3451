"""A third side: Flax's step with the state on every device of a mesh and the batch cut over them."""

from jax.sharding import Mesh

from d2l_jax.cpu import plain_lax
from d2l_jax.functional import Tree
from d2l_jax.train import TrainState
from d2l_jax.train.devices import replicated, sharded
from d2l_jax.train.steps import Seen
from d2l_jax.turns import Tensors
from parity.environment import Device
from parity.sides.flax import RANDOM_NUMBERS, FlaxRun
from parity.twin.twin import Batch, FlaxHalf, State


class ShardedRun(FlaxRun):
    """`FlaxRun` over several devices: the program is the same, only its arrays lie elsewhere."""

    def __init__(self, twin: FlaxHalf, dtype: str, device: Device, mesh: Mesh):
        super().__init__(twin, dtype, device)
        self.mesh = mesh

    def _watched(self, state: TrainState, batch: Tensors) -> tuple[TrainState, list[Seen]]:
        """Takes the step in plain `lax`, as `d2l_jax.train.parallel` does."""
        with plain_lax():
            return super()._watched(state, batch)

    def load(self, state: State) -> tuple[Tree, Tree]:
        """Returns (params, buffers) of that state, a copy of them on each device."""
        return replicated(super().load(state), self.mesh)

    def tensors(self, batch: Batch) -> Tensors:
        """Returns the tensors, a piece of each on every device, and the random numbers, which all of them have."""
        tensors = super().tensors(batch)
        numbers = tensors.pop(RANDOM_NUMBERS)  # some have steps in front of examples
        return sharded(tensors, self.mesh) | {RANDOM_NUMBERS: replicated(numbers, self.mesh)}
