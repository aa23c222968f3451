"""One call of a PyTorch module in float64, and everything it leaves behind as a list of arrays."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from d2l_jax.errors import InputError
from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import products
from parity.blame.diagnosis.threads import same_draws
from parity.models.copies import copy_of
from parity.models.packed import first_packed, packed_again, padded
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision

# What an altered module may raise where the alteration does not fit the call.
UNFIT = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError, AssertionError, NotImplementedError)


@dataclass(frozen=True)
class Call:
    """A module with its arguments, and the parts of the result that are compared.

    outputs:   how many tensors of the output are compared, from the first
    buffers:   names of the buffers to be compared after the call
    gradients: names of the parameters whose gradient is compared; "input" or "input.1" for an argument
    cotangent: what is propagated back, of the output's structure
    seen:      Flax's first output: dropout's alterations read its zeros
    within:    what is in force while the module runs
    numbers:   the random numbers that it draws, in order, or those of a seed
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    training: bool
    outputs: int
    seen: np.ndarray
    buffers: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    cotangent: Any = None
    within: Callable[[nn.Module], AbstractContextManager] = lambda module: nullcontext()
    numbers: tuple[np.ndarray, ...] = ()


def run(call: Call) -> list[np.ndarray]:
    """Outputs, buffers and gradients of a copy of the module, random numbers always from the same seed."""
    module = copy_of(call.module).double().train(call.training)
    args = [tensor(arg, bool(call.gradients)) for arg in call.args]
    kwargs = {name: tensor(arg, False) for name, arg in call.kwargs.items()}
    grad = torch.set_grad_enabled(bool(call.gradients))
    sequence = first_packed(args)
    with same_draws(), grad, torch_precision("float64"), _drawing(call.numbers), call.within(module):
        outputs = list(tensors_in(padded(module(*packed_again(args), **packed_again(kwargs)), sequence)))
    pieces = [output.detach().numpy() for output in outputs[: call.outputs]]
    if call.buffers:
        state = dict(module.named_buffers())
        pieces += [array(state.get(name)) for name in call.buffers]
    if call.gradients:
        _propagate(outputs, call.cotangent)
        known = dict(module.named_parameters()) | dict(_inputs(args))
        pieces += [_gradient(known.get(name)) for name in call.gradients]
    return pieces


def _drawing(numbers: tuple[np.ndarray, ...]) -> AbstractContextManager:
    """Returns what imposes the numbers; an altered module may draw fewer."""
    if not numbers:
        return nullcontext()
    imposed = ImposedOnTorch(numbers)
    imposed.more_to_come = True
    return imposed


def tensor(value: Any, differentiable: bool) -> Any:
    """Arrays and tensors in float64 where they are floating; containers element by element; else unchanged."""
    if isinstance(value, (tuple, list)):
        items = [tensor(item, False) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, np.ndarray):
        value = torch.as_tensor(np.array(value))
    if not isinstance(value, torch.Tensor):
        return value
    if not value.is_floating_point():
        return value.detach().cpu()
    return value.detach().cpu().double().clone().requires_grad_(differentiable)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of a nested output, in the order of isolation, a dict's by name; None is left out."""
    yield from (x for _, x in named_leaves(value, "output") if isinstance(x, torch.Tensor))


def arrays_in(value: Any) -> list[np.ndarray]:
    """All arrays of a nested output in float64, in order, a dict's by name; None is left out."""
    if isinstance(value, Mapping):
        return [leaf for _, item in sorted(value.items()) for leaf in arrays_in(item)]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in arrays_in(item)]
    return [] if value is None else [np.asarray(value, np.float64)]


def array(value: torch.Tensor | None) -> np.ndarray:
    """Returns a buffer in float64; a missing one is an empty array, which fits nothing."""
    return np.zeros(0) if value is None else value.detach().double().numpy()


def _gradient(leaf: torch.Tensor | None) -> np.ndarray:
    if leaf is None:
        return np.zeros(0)
    return (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).detach().numpy()


def _propagate(outputs: list[torch.Tensor], cotangent: Any) -> None:
    sent = [torch.as_tensor(part) for part in arrays_in(cotangent)]
    if not sent:
        raise InputError("gradients cannot be compared without a cotangent; give one of the output's shape")
    pairs = [(out, back) for out, back in zip(outputs, sent) if out.requires_grad]
    if pairs and all(out.shape == back.shape and out.dtype == back.dtype == torch.float64 for out, back in pairs):
        torch.autograd.backward(products(*zip(*pairs)))
    elif pairs:
        torch.autograd.backward([out for out, _ in pairs], [back for _, back in pairs])


def _inputs(args: list[Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for place, arg in enumerate(args):
        if isinstance(arg, torch.Tensor):
            yield f"input.{place}", arg
            if place == 0:
                yield "input", arg
