"""A step of training and a step of evaluation in JAX, jitted."""

import time
from collections.abc import Callable
from typing import Any

import jax

from d2l_jax.case import Case
from d2l_jax.functional import functional
from d2l_jax.metrics import Metric
from d2l_jax.train import TrainState, make_eval_step, make_train_step
from d2l_jax.turns import Tensors
from parity.bench.batch import led
from parity.bench.programs import Program, Task, started


def jax_training(task: Task) -> Program:
    """`d2l_jax.make_train_step`, compiled ahead; the state is donated, the batch lies on the device.

    It also counts the correct labels, as in training; PyTorch's steps do not.
    """
    case = task.case
    batch = led(case, task.flax, task.on_device(task.batch.tensors))
    state = task.on_device(TrainState.create(task.flax, case.turns))
    compiled, ahead = _ahead(make_train_step(task.flax, case.turns, beside_the_loss(case)), state, batch)

    def step() -> jax.Array:
        nonlocal state
        state, metrics = compiled(state, batch)
        jax.block_until_ready((state, metrics))
        return metrics["loss"]

    return started(step, **ahead)


def jax_evaluation(task: Task) -> Program:
    """`d2l_jax.make_eval_step`, compiled ahead: forward and loss in evaluation mode."""
    _, params, buffers = functional(task.flax)
    arguments = task.on_device((params, buffers, led(task.case, task.flax, task.on_device(task.batch.tensors))))
    objective = task.case.turn.objective

    def observe(nets: Any, tensors: Tensors) -> Tensors:
        loss, more = objective(nets, tensors)
        return more | {"loss": loss}

    compiled, ahead = _ahead(make_eval_step(task.flax, observe, beside_the_loss(task.case)), *arguments)
    return started(lambda: jax.block_until_ready(compiled(*arguments))["loss"], **ahead)


def beside_the_loss(case: Case) -> dict[str, Metric]:
    """Returns the metrics but for one that takes the loss's place: the loss is compared as it is minimised."""
    return {name: metric for name, metric in case.metrics.items() if name != "loss"}


def _ahead(step: Any, *arguments: Any) -> tuple[Callable, dict[str, Any]]:
    """(compiled, what XLA tells of it, as the members of `Start` are called)."""
    start = time.perf_counter()
    compiled = step.lower(*arguments).compile()
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    footprint = memory and memory.temp_size_in_bytes + memory.argument_size_in_bytes
    traffic = (compiled.cost_analysis() or {}).get("bytes accessed")
    return compiled, {"compile_s": seconds, "footprint": footprint, "traffic": traffic}
