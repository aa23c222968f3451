"""Truncated backpropagation through time: a state that is carried from window to window (book, sections 9.3, 9.7)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import Tree, functional, train_view
from d2l_jax.train import Loss, TrainState

Epoch = Callable[
    [TrainState, Int[Array, " tokens"], Int[Array, "batches size"]], tuple[TrainState, Float[Array, " batches"]]
]


def make_truncated_epoch(model: nnx.Module, tx: optax.GradientTransformation, loss: Loss, steps: int) -> Epoch:
    """(state, ids of a text, starts of windows) -> (state, the loss of each batch): one scan, jitted.

    The state is donated: go on with the one that is returned.

    model:  a language model: `run(ids (batch, steps), hidden) -> (scores, hidden)`
    starts: from `d2l_jax.data.sequential_windows`: row j of a batch goes on where row j of the batch before ended

    The first hidden state is zero. The gradient is that of one batch alone: what comes in is a number to it, which
    PyTorch has to be told by `detach`.
    """
    run = functional(train_view(model), lambda model, ids, hidden: model.run(ids, hidden)).apply

    def objective(params: Tree, buffers: Tree, hidden: Any, X: Array, y: Array) -> tuple[Array, tuple[Any, Tree]]:
        (outputs, hidden), buffers = run(params, buffers, X, hidden)
        return loss(outputs, y), (hidden, buffers)

    gradient = jax.value_and_grad(objective, has_aux=True)

    def epoch(state: TrainState, ids: Array, starts: Array) -> tuple[TrainState, Array]:
        def window(carry: tuple[TrainState, Any], starts: Array) -> tuple[tuple[TrainState, Any], Array]:
            (state, hidden), at = carry, starts[:, None] + jnp.arange(steps)
            (value, (hidden, buffers)), grads = gradient(state.params, state.buffers, hidden, ids[at], ids[at + 1])
            return (state.update(tx, grads, buffers), hidden), value

        first = jnp.zeros((starts.shape[1], steps), ids.dtype)
        (_, hidden), _ = jax.eval_shape(run, state.params, state.buffers, first, None)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), hidden)
        (state, _), losses = jax.lax.scan(window, (state, zeros), starts)
        return state, losses

    return jit(epoch, donate_argnums=0)
