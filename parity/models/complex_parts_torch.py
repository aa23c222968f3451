"""A PyTorch model whose complex parameters are two real numbers each, in a last axis, under their own names."""

from typing import Any

import torch

from parity.models.copies import copy_of
from parity.models.own_class import give_own_class


def in_parts(model: torch.nn.Module) -> torch.nn.Module:
    """Returns the model with the parts of its complex parameters, a copy; as it is where it has none."""
    if not any(parameter.is_complex() for parameter in model.parameters()):
        return model
    model = copy_of(model)
    parts: dict[int, torch.nn.Parameter] = {}  # a shared parameter stays one
    for module in model.modules():
        own = {name: p for name, p in module._parameters.items() if p is not None and p.is_complex()}
        for name, parameter in own.items():
            real = torch.view_as_real(parameter.detach()).clone()
            module._parameters[name] = parts.setdefault(
                id(parameter), torch.nn.Parameter(real, requires_grad=parameter.requires_grad)
            )
        if own:
            give_own_class(module, **{name: property(_whole(name)) for name in own})
    return model


def _whole(name: str) -> Any:
    return lambda module: torch.view_as_complex(module._parameters[name])
