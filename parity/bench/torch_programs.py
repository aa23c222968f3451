"""A step of training and a step of evaluation in PyTorch, eager or through a compiler."""

from collections.abc import Callable

import jax
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.turns import Tensors
from parity.bench.batch import learns_image, torch_batch
from parity.bench.precision import dtype_of
from parity.bench.programs import Program, Task, started
from parity.environment import torch_device
from parity.twin.torch_side import freeze, torch_model, torch_observe, torch_turn
from parity.weights.state_dict import state_dict

Compiler = Callable[[Callable], Callable]


def torch_training(task: Task, layout: str = "contiguous", compiler: Compiler = lambda f: f) -> Program:
    """`torch_steps` from the weights of the Flax model; `layout` as in `_torch_side`."""
    return started(torch_steps(task.case, *_torch_side(task, layout), compiler, _waiting(task.device)))


def torch_steps(
    case: Case,
    model: torch.nn.Module,
    tensors: Tensors,
    compiler: Compiler = lambda f: f,
    wait: Callable[[], None] = lambda: None,
) -> Callable[[], torch.Tensor]:
    """The book's way: zero_grad, forward, loss, backward, step; forward and loss go through `compiler`.

    What does not learn gets no gradient.
    """
    turn = torch_turn(case.turn)
    freeze(turn, model)
    optimizer = turn.optimizer(model.train())
    objective = compiler(lambda tensors: turn.objective(model, tensors)[0])

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = objective(tensors)
        if value.requires_grad:  # the book's MyLinear reads .data: nothing is trained, in JAX neither
            value.backward()
            turn.prepare(model)
        optimizer.step()
        wait()
        return value.detach()

    return step


def torch_evaluation(task: Task, layout: str = "contiguous", compiler: Compiler = lambda f: f) -> Program:
    """Forward and loss in evaluation mode, under `torch.inference_mode`."""
    model, tensors = _torch_side(task, layout)
    turn = torch_turn(task.case.turn)
    wait = _waiting(task.device)
    model.eval()
    objective = compiler(lambda tensors: turn.objective(model, tensors)[0])

    def step() -> torch.Tensor:
        with torch.inference_mode():
            value = objective(tensors)
        wait()
        return value

    return started(step)


def _torch_side(task: Task, layout: str) -> tuple[torch.nn.Module, Tensors]:
    """Model and batch on the device; layout: "contiguous" or "channels_last", of all that has four axes."""
    side = torch_device(task.device)
    dtype = getattr(torch, dtype_of(task.precision))
    model = loaded(task.case, task.model).to(side, dtype)
    tensors = torch_led(task.case, model, torch_batch(task.batch, side, dtype))
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        tensors = jax.tree.map(lambda x: x.to(memory_format=torch.channels_last) if x.ndim == 4 else x, tensors)
    return model, tensors


def torch_led(case: Case, model: torch.nn.Module, tensors: Tensors) -> Tensors:
    """Returns what `led` does, in PyTorch."""
    if not learns_image(case):
        return tensors
    with torch.no_grad():
        return torch_observe(case)(model.eval(), tensors)


def loaded(case: Case, flax: nnx.Module) -> torch.nn.Module:
    """PyTorch's twin with the weights of the Flax model."""
    model = torch_model(case)
    model.load_state_dict({key: torch.tensor(array) for key, array in state_dict(flax).items()})
    return model


def _waiting(device: str) -> Callable[[], None]:
    return torch.cuda.synchronize if torch_device(device) == "cuda" else lambda: None
