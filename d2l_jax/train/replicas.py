"""The training step as one of several devices takes it on its share of a batch: gradients are averaged between."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from jax import lax

from d2l_jax.functional import Tree
from d2l_jax.train.devices import AXIS
from d2l_jax.train.host import is_key
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import Run, Watch, step
from d2l_jax.turns import Tensors, Turn


def replica_step(
    run: Run, turns: Sequence[Turn], state: TrainState, batch: Tensors, watch: Watch | None = None
) -> tuple[TrainState, Tensors]:
    """Takes `d2l_jax.train.step` on this device's share, within `jax.shard_map` over the axis "data" (section 13.5).

    Every device has the same state before and after: the gradients of all are averaged before they are clipped and
    used, as PyTorch's DistributedDataParallel does it, and of the running statistics those of the first device stay.
    Losses, outputs and batch statistics are of the share alone, and so are dropout's masks.
    """
    averaged = [averaging(turn) for turn in turns]
    after, tensors = step(run, averaged, state._replace(buffers=_own_keys(state.buffers)), batch, watch)
    return after._replace(buffers=_from_first(after.buffers, state.buffers)), tensors


def averaging(turn: Turn) -> Turn:
    """Returns the turn whose optimiser meets the mean of all devices' gradients, in place of this device's."""
    inner = turn.transformation()

    def update(updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None):
        return inner.update(lax.pmean(updates, AXIS), state, params)

    return turn._replace(optimizer=lambda: optax.GradientTransformation(inner.init, update), clip=None)


def _own_keys(buffers: Tree) -> Tree:
    """Gives every device but the first random keys of its own."""
    place = lax.axis_index(AXIS)

    def own(leaf: jax.Array) -> jax.Array:
        if not is_key(leaf):
            return leaf
        fold = jax.random.fold_in if leaf.ndim == 0 else jax.vmap(jax.random.fold_in, (0, None))
        return jnp.where(place == 0, leaf, fold(leaf, place))

    return jax.tree.map(own, buffers)


def _from_first(after: Tree, before: Tree) -> Tree:
    """Returns the first device's floating-point buffers on all; counts are equal there, keys stay what they were."""
    first = lax.axis_index(AXIS) == 0

    def shared(new: jax.Array, old: jax.Array) -> jax.Array:
        if is_key(new):
            return old
        return lax.psum(jnp.where(first, new, jnp.zeros_like(new)), AXIS) if _is_floating(new) else new

    return jax.tree.map(shared, after, before)


def _is_floating(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)
