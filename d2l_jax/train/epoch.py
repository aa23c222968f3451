"""An epoch as one scan over data on the device."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import Tree
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import EvalStep, Metrics
from d2l_jax.turns import Tensors

EpochScan = Callable[[TrainState, Tensors, Int[Array, "batches size"]], tuple[TrainState, Any]]


def make_epoch(step: Callable[[TrainState, Tensors], tuple[TrainState, Any]]) -> EpochScan:
    """Returns the jitted (state, data on the device, rows of each batch) -> (state, metrics of each batch)."""

    def epoch(state: TrainState, data: Tensors, order: Array) -> tuple[TrainState, Any]:
        return jax.lax.scan(lambda state, rows: step(state, take(data, rows)), state, order)

    return jit(epoch, donate_argnums=0)


def make_evaluation(step: EvalStep) -> Callable[[Tree, Tree, Tensors, Int[Array, "batches size"]], Metrics]:
    """Returns the jitted (params, buffers, data on the device, rows of each batch) -> metrics of each batch."""

    def evaluation(params: Tree, buffers: Tree, data: Tensors, order: Array) -> Metrics:
        return jax.lax.map(lambda rows: step(params, buffers, take(data, rows)), order)

    return jit(evaluation)


def take(data: Tensors, rows: Int[Array, " size"]) -> Tensors:
    """Returns the examples at `rows`."""
    return jax.tree.map(lambda a: a[rows], data)
