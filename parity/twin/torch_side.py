"""A Case in PyTorch: its twin, its loss and its optimiser, each found by the name it has in the Case."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity import reference
from parity.reference import losses
from parity.reference.clip import clip_gradients


def torch_model(case: Case, probe: bool = False) -> nn.Module:
    """The twin with the book's arguments, freshly initialised; `probe`: with those of the parity check."""
    args = case.args | case.probe if probe else case.args
    return namesake(case.model, reference)(**args)


def torch_loss(case: Case) -> Callable[[Tensor, Tensor, nn.Module], Tensor]:
    """(outputs, targets, model) -> the loss with the Case's penalty; labels are int64."""
    loss = namesake(case.loss, losses)
    if case.penalty is None:
        return lambda outputs, targets, model: loss(outputs, targets)
    penalty = namesake(case.penalty, losses)
    return lambda outputs, targets, model: loss(outputs, targets) + penalty(dict(model.named_parameters()))


def torch_optimizer(case: Case, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of `torch.optim`; `groups` become parameter groups, the first that fits a name wins."""
    make = namesake(case.optimizer, torch.optim)
    groups = make.keywords.pop("groups", None) or {}
    sorted_in: dict[str, list[nn.Parameter]] = {ending: [] for ending in (*groups, "")}
    for name, parameter in model.named_parameters():
        sorted_in[next(ending for ending in sorted_in if name.endswith(ending))].append(parameter)
    filled = [{"params": p, **groups.get(ending, {})} for ending, p in sorted_in.items() if p]
    return make(filled or [{"params": []}])  # a layer without parameters learns nothing, and may be compared


def torch_clipping(case: Case) -> Callable[[nn.Module], None]:
    """model -> None: scales its gradients down as the Case says, after the backward pass."""
    theta = case.clip
    return (lambda model: None) if theta is None else lambda model: clip_gradients(model, theta)


def namesake(function: Callable, module: ModuleType) -> Any:
    """What is called like `function` in `module`, with the same arguments bound to it.

    Raises InputError where nothing is.
    """
    if isinstance(function, partial):
        return partial(namesake(function.func, module), *function.args, **function.keywords)
    name = getattr(function, "__name__", str(function))
    if not hasattr(module, name):
        raise InputError(f"{name} has no namesake in {module.__name__}; a pair, (Flax's, PyTorch's), is right then")
    return getattr(module, name)
