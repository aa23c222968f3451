"""An epoch as one scan over data on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import Tree
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import EvalStep, Metrics
from d2l_jax.turns import Tensors

Prepare = Callable[[Int[Array, ""] | int, Tensors], Tensors]
EpochScan = Callable[[TrainState, Tensors, Int[Array, "batches size"]], tuple[TrainState, Any]]


def unchanged(step: Int[Array, ""] | int, batch: Tensors) -> Tensors:
    """Returns the batch as it is."""
    return batch


def make_epoch(
    step: Callable[[TrainState, Tensors], tuple[TrainState, Any]], prepare: Prepare = unchanged
) -> EpochScan:
    """Returns the jitted (state, data on the device, rows of each batch) -> (state, metrics of each batch).

    prepare: (number of updates so far, batch) -> batch, before each step: augmentation
    """

    def one(state: TrainState, batch: Tensors) -> tuple[TrainState, Any]:
        return step(state, prepare(state.step, batch))

    def epoch(state: TrainState, data: Tensors, order: Array) -> tuple[TrainState, Any]:
        return jax.lax.scan(lambda state, rows: one(state, take(data, rows)), state, order)

    return jit(epoch, donate_argnums=0)


def make_evaluation(
    step: EvalStep, prepare: Prepare = unchanged
) -> Callable[[Tree, Tree, Tensors, Int[Array, "batches size"]], Metrics]:
    """Returns the jitted (params, buffers, data on the device, rows of each batch) -> metrics of each batch.

    prepare: (0, batch) -> batch, before each step
    """

    def evaluation(params: Tree, buffers: Tree, data: Tensors, order: Array) -> Metrics:
        start = jnp.zeros((), jnp.int32)
        return jax.lax.map(lambda rows: step(params, buffers, prepare(start, take(data, rows))), order)

    return jit(evaluation)


def narrowed(data: Tensors, width: int | None) -> Tensors:
    """Returns the examples with the first `width` steps of their inputs; None leaves all."""
    if width is None:
        return data
    return data | {"input": jax.tree.map(lambda a: a[:, :width] if a.ndim > 1 else a, data["input"])}


def take(data: Tensors, rows: Int[Array | np.ndarray, " size"]) -> Tensors:
    """Returns the examples at `rows`."""
    return jax.tree.map(lambda a: a[rows], data)
