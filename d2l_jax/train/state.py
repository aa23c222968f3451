"""All that a training step reads and writes."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Int

from d2l_jax.functional import Tree, functional
from d2l_jax.turns import Turn, check_turns, parameter_names, parted


class TrainState(NamedTuple):
    """All that a training step reads and writes.

    params:    what is trained, and what stays as it is
    buffers:   running statistics, dropout keys and counts
    opt_state: one state of an optimiser for each turn
    step:      updates made so far, int32
    """

    params: Tree
    buffers: Tree
    opt_state: tuple[optax.OptState, ...]
    step: Int[Array, ""]

    @classmethod
    def create(cls, model: nnx.Module, turns: Sequence[Turn]) -> "TrainState":
        """Returns the state at step 0. Its arrays are copies: a step may donate them, `model` stays whole.

        Raises InputError where a turn moves nothing, or two turns the same leaf.
        """
        _, params, buffers = functional(model)
        return cls.start(params, buffers, turns)

    @classmethod
    def start(cls, params: Tree, buffers: Tree, turns: Sequence[Turn]) -> "TrainState":
        """Returns the state at step 0 of these weights; see `create`."""
        check_turns(turns, parameter_names(params))
        opt_state = tuple(turn.transformation().init(parted(params, turn.trains)[0]) for turn in turns)
        # An optimiser may start two slots with one array, which cannot be donated twice.
        params, buffers, opt_state = jax.tree.map(jnp.copy, (params, buffers, opt_state))
        return cls(params, buffers, opt_state, jnp.zeros((), jnp.int32))
