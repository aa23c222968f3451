"""Flax's side run otherwise than users of this library run it: as `jax.jit` compiles by itself, or not compiled."""

from collections.abc import Callable

from d2l_jax.functional import Tree
from d2l_jax.train import TrainState
from d2l_jax.turns import Tensors
from d2l_jax.weights.leaf import export
from parity.arrays.key import Key, Record
from parity.sides.flax import NO_STEP, FlaxRun, precision
from parity.twin.twin import State


class OtherwiseRun(FlaxRun):
    """Flax's model in one precision; how its functions are run, each call says."""

    def evaluation_by(self, run: Callable[[Callable], Callable], state: State) -> Record:
        """Evaluates the first batch as `run` has it run: `jax.jit`, or as it stands, operation by operation."""
        with precision(self.device, self.tf32, self.dtype):
            params, buffers = self.load(state)
            observed = run(self._outputs)(params, buffers, self.tensors(self.twin.batches[0]))
            return {Key(1, "evaluation", name): array for name, array in self._named(observed).items()}

    def first_step_by(self, run: Callable[[Callable], Callable], state: State) -> Record:
        """Takes the first step as `run` has it run."""
        with precision(self.device, self.tf32, self.dtype):
            params, buffers = self.load(state)
            weights = export(self.trained, params)
            started = TrainState(params, buffers, self._start(params, buffers).opt_state, NO_STEP)
            _, seen = run(self._watched)(started, self.tensors(self.twin.batches[0]))
            record: Record = {}
            for turn, moment in zip(self.turns, seen, strict=True):
                leaves = self.twin.trained(turn.trains)
                record |= self._seen(1, turn, leaves, moment, weights)
                weights |= export(leaves, moment.params)
            return record

    def _outputs(self, params: Tree, buffers: Tree, tensors: Tensors) -> Tensors:
        """Returns what is observed but its loss and metrics, as a program that computes nothing else."""
        observed, _ = self._observed(params, buffers, tensors)
        return {name: value for name, value in observed.items() if not Key(1, "evaluation", name).is_made_of_outputs}
