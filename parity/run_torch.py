"""One run of the PyTorch side: the same flat dict as `run_flax` gives."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from parity.randomness import ImposedOnTorch
from parity.twin import Step, Twin

Record = dict[str, np.ndarray]


def run_torch(
    twin: Twin,
    dtype: str,
    device: str,
    kept: tuple[int, ...],
    disturb: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> Record:
    """Evaluates, then trains on the twin's steps; `disturb` is applied to every weight and input first."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(disturb(array.astype(dtype)), device=device)

    model = copy.deepcopy(twin.torch_model).to(device, getattr(torch, dtype))
    floating = {key: np.issubdtype(array.dtype, np.floating) for key, array in twin.weights.items()}
    model.load_state_dict({k: tensor(a) if floating[k] else torch.as_tensor(a) for k, a in twin.weights.items()})
    record = {"evaluation/output": _evaluate(model, images_first(tensor(twin.steps[0].inputs), twin.images_in))}
    record |= {f"evaluation/{name}": to_numpy(buffer) for name, buffer in buffers(model)}
    optimizer = twin.torch_optimizer(model.train())
    for number, step in enumerate(twin.steps[: max(kept)], 1):
        inputs = images_first(tensor(step.inputs), twin.images_in).detach().requires_grad_()
        output, loss = _differentiate(twin, model, optimizer, inputs, step)
        if number == 1:
            record["forward/output"], record["forward/loss"] = to_numpy(output), to_numpy(loss)
            record["gradients/input"] = gradient(inputs)
            record |= {f"gradients/{name}": gradient(p) for name, p in parameters(model)}
            record |= {f"buffers/{name}": to_numpy(buffer) for name, buffer in buffers(model)}
        optimizer.step()
        if number in kept:
            record |= {f"step {number}/{name}": to_numpy(t) for name, t in parameters(model) + buffers(model)}
            record |= optimizer_state(f"step {number}", model, optimizer)
    return record


def _evaluate(model: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return to_numpy(model.eval()(inputs))


def _differentiate(
    twin: Twin, model: torch.nn.Module, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, step: Step
) -> tuple[torch.Tensor, torch.Tensor]:
    targets = torch.as_tensor(step.targets, device=inputs.device)
    if targets.is_floating_point():
        targets = images_first(targets.to(inputs.dtype), twin.images_out)
    optimizer.zero_grad()
    with ImposedOnTorch(step.draws):
        output = model(inputs)
    loss = twin.torch_loss(output, targets, model)
    loss.backward()
    return output, loss


def images_first(tensor: torch.Tensor, images: bool) -> torch.Tensor:
    """(batch, height, width, channels) -> (batch, channels, height, width), contiguous."""
    return tensor.permute(0, 3, 1, 2).contiguous() if images else tensor


def parameters(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Every parameter under each of its names."""
    return list(model.named_parameters(remove_duplicate=False))


def buffers(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return list(model.named_buffers(remove_duplicate=False))


def gradient(tensor: torch.Tensor) -> np.ndarray:
    """Zeros where PyTorch keeps None: JAX knows no such difference."""
    return to_numpy(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)


def optimizer_state(phase: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Record:
    """`exp_avg:net.0.weight`, for every slot of every parameter that the optimiser has touched."""
    return {
        f"{phase}/{slot}:{name}": to_numpy(torch.as_tensor(value))
        for name, parameter in parameters(model)
        for slot, value in optimizer.state[parameter].items()
        if value is not None
    }


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
