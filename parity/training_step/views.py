"""A model with more or fewer tensors than the user's, which stays as it is; those of both are the same."""

import copy
from collections.abc import Container, Mapping

import torch


def with_parameters(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """Returns the model with these among its parameters, under names that it has not yet."""
    return _view(model, "_parameters", {**model._parameters, **tensors}) if tensors else model


def without_children(model: torch.nn.Module, names: Container[str]) -> torch.nn.Module:
    """Returns the model without its parts of these names."""
    return _view(model, "_modules", {name: part for name, part in model._modules.items() if name not in names})


def _view(model: torch.nn.Module, what: str, items: dict) -> torch.nn.Module:
    view = copy.copy(model)
    vars(view)[what] = items
    return view
