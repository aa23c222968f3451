"""A model of PyTorch's within what wraps it, and an averaged copy of it under its names."""

from collections.abc import Container, Mapping
from typing import Any

import torch

from parity.match.fitting import alike


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Returns the model within a compiled, parallel or averaged one."""
    for name in ("_orig_mod", "module"):
        inner = getattr(model, name, None)
        kinds = ("OptimizedModule", "DataParallel", "DistributedDataParallel", "AveragedModel")
        if isinstance(inner, torch.nn.Module) and type(model).__name__ in kinds:
            return unwrapped(inner)
    return model


def named_tensors(thing: Any, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the tensors of an averaged copy under the model's names: a module, a dict, a list, or one that has it."""
    if isinstance(thing, torch.nn.Module):
        return dict(unwrapped(thing).state_dict())
    names = [name for name, _ in model.named_parameters()]
    if isinstance(thing, Mapping):
        tensors = {str(key).removeprefix("module."): value for key, value in thing.items()}
        known = {key: value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
        return known if known.keys() & set(names) else {}
    if isinstance(thing, list | tuple):
        fits = len(thing) == len(names) and all(isinstance(value, torch.Tensor) for value in thing)
        return dict(zip(names, thing, strict=True)) if fits else {}
    if isinstance(thing, torch.optim.Optimizer) or not hasattr(thing, "__dict__"):
        return {}
    parts = [value for value in vars(thing).values() if isinstance(value, torch.nn.Module | Mapping | list)]
    parts = [value for value in parts if value is not model and _is_other(value, model)]
    return next((tensors for part in parts if (tensors := named_tensors(part, model))), {})


def of_part(name: str, tensors: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the tensors of a copy of a part of the model, a target network, by the names of the whole.

    name: of the copy, which tells which of two that are equal it is of
    """
    if tensors.keys() & model.state_dict().keys():
        return tensors
    parts = [part for part, module in model.named_modules() if part and _shaped_as(tensors, module)]
    part = max(parts, key=lambda part: alike(part, name), default="")
    return {f"{part}.{key}": value for key, value in tensors.items()} if part else tensors


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in tensors.items()}


def _shaped_as(tensors: Mapping[str, torch.Tensor], module: torch.nn.Module) -> bool:
    return bool(tensors) and _shapes(module.state_dict()) == _shapes(tensors)


def frozen_copies(models: torch.nn.Module, moved: Container[int]) -> dict[str, torch.nn.Module]:
    """Returns the models, of several, that nothing trains and that have the shapes of a part of the others.

    moved: identities of the parameters that an optimiser moves
    """
    parts = dict(models.named_children())
    frozen = {name: part for name, part in parts.items() if not any(id(p) in moved for p in part.parameters())}
    others = [inner for name, part in parts.items() if name not in frozen for inner in part.modules()]
    return {
        name: part for name, part in frozen.items() if any(_shaped_as(part.state_dict(), other) for other in others)
    }


def _is_other(value: Any, model: torch.nn.Module) -> bool:
    """Tells whether it is another thing than the model itself."""
    return not isinstance(value, torch.nn.Module) or unwrapped(value) is not model
