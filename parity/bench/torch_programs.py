"""A step of training and a step of evaluation in PyTorch, eager or through a compiler."""

from collections.abc import Callable
from typing import Any

import torch
from flax import nnx

from d2l_jax.case import Case
from parity.bench.batch import torch_batch
from parity.bench.precision import dtype_of
from parity.bench.programs import Program, Task, started
from parity.environment import torch_device
from parity.reference import losses
from parity.twin.torch_side import namesake, torch_model, torch_turn
from parity.weights.state_dict import state_dict

Compiler = Callable[[Callable], Callable]


def torch_training(task: Task, layout: str = "contiguous", compiler: Compiler = lambda f: f) -> Program:
    """`torch_steps` from the weights of the Flax model; `layout` as in `_torch_side`."""
    return started(torch_steps(task.case, *_torch_side(task, layout), compiler, _waiting(task.device)))


def torch_steps(
    case: Case,
    model: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    targets: Any,
    compiler: Compiler = lambda f: f,
    wait: Callable[[], None] = lambda: None,
) -> Callable[[], torch.Tensor]:
    """The book's way: zero_grad, forward, loss, backward, step; forward and loss go through `compiler`."""
    turn = torch_turn(case.turn)
    optimizer = turn.optimizer(model.train())
    objective = compiler(lambda X, y: turn.objective(model, {"input": X, "targets": y})[0])

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = objective(inputs, targets)
        if value.requires_grad:  # the book's MyLinear reads .data: nothing is trained, in JAX neither
            value.backward()
            turn.prepare(model)
        optimizer.step()
        wait()
        return value.detach()

    return step


def torch_evaluation(task: Task, layout: str = "contiguous", compiler: Compiler = lambda f: f) -> Program:
    """Forward and loss in evaluation mode, under `torch.inference_mode`."""
    model, inputs, targets = _torch_side(task, layout)
    loss = namesake(task.case.objective.loss, losses)
    wait = _waiting(task.device)
    model.eval()
    objective = compiler(lambda X, y: loss(model(*X), y))

    def step() -> torch.Tensor:
        with torch.inference_mode():
            value = objective(inputs, targets)
        wait()
        return value

    return started(step)


def _torch_side(task: Task, layout: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...], Any]:
    """Model, inputs and targets on the device; layout: "contiguous" or "channels_last", of 4-D tensors."""
    side = torch_device(task.device)
    dtype = getattr(torch, dtype_of(task.precision))
    model = loaded(task.case, task.model).to(side, dtype)
    inputs, targets = torch_batch(task.batch, side, dtype)
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        inputs = tuple(x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs)
    return model, inputs, targets


def loaded(case: Case, flax: nnx.Module) -> torch.nn.Module:
    """PyTorch's twin with the weights of the Flax model."""
    model = torch_model(case)
    model.load_state_dict({key: torch.tensor(array) for key, array in state_dict(flax).items()})
    return model


def _waiting(device: str) -> Callable[[], None]:
    return torch.cuda.synchronize if torch_device(device) == "cuda" else lambda: None
