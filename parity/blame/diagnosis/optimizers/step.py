"""One step of a PyTorch optimiser in float64 from given parameters, gradients and state."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError

Arrays = Mapping[str, np.ndarray]
Make = Callable[[list[torch.Tensor]], torch.optim.Optimizer]


@dataclass(frozen=True)
class ObservedStep:
    """Everything a step starts from; the tensors are in the order of `before`.

    number: which step it is, from 1
    rates:  PyTorch's learning rates of the steps, this one among them; () where they are not known
    slots:  names of what Flax's optimiser holds, as PyTorch calls it; () where that is not known
    """

    make: Make
    before: Arrays
    grads: Arrays
    state: Mapping[str, Mapping[str, np.ndarray]]
    number: int = 1
    rates: tuple[float, ...] = ()
    slots: Collection[str] = ()

    @property
    def norm(self) -> float:
        """Returns the global norm of the gradients."""
        return float(np.sqrt(sum(np.sum(np.square(self.grads[name])) for name in self.before)))


@dataclass
class Ready:
    """An optimiser about to step: alterations change it in place."""

    optimizer: torch.optim.Optimizer
    tensors: dict[str, torch.Tensor]

    @property
    def gradients(self) -> dict[str, torch.Tensor]:
        return {name: tensor.grad for name, tensor in self.tensors.items() if tensor.grad is not None}

    def options(self, name: str) -> dict[str, Any]:
        """The options of the group that holds the parameter."""
        return next(g for g in self.optimizer.param_groups if any(p is self.tensors[name] for p in g["params"]))


Alter = Callable[[Ready], None]


def ready(step: ObservedStep) -> Ready:
    """The optimiser with its tensors. Raises InputError where a gradient is missing or of another shape."""
    tensors = {}
    for name, values in step.before.items():
        if name not in step.grads or step.grads[name].shape != values.shape:
            raise InputError(f"no gradient of shape {values.shape} for {name!r}; give one for every parameter")
        tensors[name] = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        tensors[name].grad = torch.tensor(step.grads[name], dtype=torch.float64)
    optimizer = step.make(list(tensors.values()))
    for name, slots in step.state.items():
        optimizer.state[tensors[name]] |= {slot: _slot(slot, value) for slot, value in slots.items()}
    return Ready(optimizer, tensors)


def _slot(slot: str, value: np.ndarray | np.generic) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biu":
        return value.item()
    return torch.tensor(np.asarray(value), dtype=torch.float32 if slot == "step" else torch.float64)


def update(step: ObservedStep, change: Alter = lambda _: None) -> list[np.ndarray]:
    """The step's change of every parameter, after `change` was made to what is about to step."""
    about = ready(step)
    change(about)
    about.optimizer.step()
    return [tensor.detach().numpy() - step.before[name] for name, tensor in about.tensors.items()]
