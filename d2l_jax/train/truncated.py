"""Truncated backpropagation through time: a state that is carried from window to window (book, sections 9.3, 9.7)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import parts, train_view
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import step
from d2l_jax.turns import Supervised, Tensors, Turn

TruncatedEpoch = Callable[
    [TrainState, Int[Array, " tokens"], Int[Array, "batches size"]], tuple[TrainState, Float[Array, " batches"]]
]


def make_truncated_epoch(model: nnx.Module, turns: Sequence[Turn], steps: int) -> TruncatedEpoch:
    """Returns the jitted (state, ids of a text, starts of windows) -> (state, the loss of each batch): one scan.

    The state is donated: go on with the one that is returned.

    model:  a language model: `run(ids (batch, steps), hidden) -> (scores, hidden)`
    turns:  those of `supervised`
    starts: from `d2l_jax.data.sequential_windows`: row j of a batch goes on where row j of the batch before ended

    The first hidden state is zero. The gradient is that of one batch alone: what comes in is a number to it, which
    PyTorch has to be told by `detach`.
    """
    run = parts(train_view(model)).run
    carried = [turn._replace(objective=_carrying(turn.objective)) for turn in turns]

    def epoch(state: TrainState, ids: Array, starts: Array) -> tuple[TrainState, Array]:
        def window(carry: tuple[TrainState, Any], starts: Array) -> tuple[tuple[TrainState, Any], Array]:
            state, hidden = carry
            at = starts[:, None] + jnp.arange(steps, dtype=starts.dtype)[None]
            state, tensors = step(run, carried, state, {"input": ids[at], "targets": ids[at + 1], "hidden": hidden})
            return (state, tensors["hidden"]), tensors["loss"]

        first = jnp.zeros((starts.shape[1], steps), ids.dtype)
        call = lambda model, ids: model.run(ids, None)  # noqa: E731
        (_, hidden), _ = jax.eval_shape(lambda *trees: run(call, *trees), state.params, state.buffers, first)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), hidden)
        (state, _), losses = jax.lax.scan(window, (state, zeros), starts)
        return state, losses

    return jit(epoch, donate_argnums=0)


def _carrying(objective: Any) -> Callable[[Any, Tensors], tuple[Array, Tensors]]:
    """Returns the supervised objective of a model that also returns its next hidden state."""
    supervised: Supervised = objective

    def carried(nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        hidden = list[Any]()

        def outputs(ids: Array) -> Array:
            scores, after = nets.run(ids, tensors["hidden"])
            hidden.append(after)
            return scores

        loss, more = supervised(outputs, tensors)
        return loss, more | {"hidden": hidden[0]}

    return carried
