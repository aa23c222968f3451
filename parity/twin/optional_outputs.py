"""Outputs that PyTorch's model may leave out, as a cache of keys and values; those that Flax's has not are left out."""

import copy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any

import torch

from parity.arrays.layout import named_leaves
from parity.models.own_class import give_own_class
from parity.twin.inputs import Inputs, result_of


def without_optional(model: torch.nn.Module, inputs: Inputs, outputs: Any) -> torch.nn.Module:
    """Returns PyTorch's model without the optional outputs that Flax's has not, where both name what they return.

    outputs: Flax's, as shapes
    """
    names = {name.split(".")[1] for name, _ in named_leaves(outputs, "output") if isinstance(outputs, dict)}
    if not names:
        return model
    result = result_of(model, inputs)
    lacking = sorted(set(_optional(result)) - names)
    return _without(model, lacking) if lacking and any(hasattr(result, name) for name in names) else model


def left_out(model: torch.nn.Module) -> tuple[str, ...]:
    """Returns the names of the outputs that the model was made to leave out."""
    return getattr(model, "left_out_of_outputs", ())


def _optional(result: Any) -> Iterator[str]:
    """Yields the fields of a record of results that hold several arrays, as caches do, and need not.

    A single array is what the model computes, though no record of Hugging Face's has a field that is not optional.
    """
    for field in fields(result) if is_dataclass(result) else ():
        value = getattr(result, field.name)
        several = not isinstance(value, torch.Tensor) and next(named_leaves(value, ""), None)
        if field.default is None and several:
            yield field.name


def _without(model: torch.nn.Module, names: list[str]) -> torch.nn.Module:
    """Returns the same module, with the same tensors, whose record of results lacks these fields."""
    stock = type(model)

    @wraps(stock.forward)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        return replace(stock.forward(self, *args, **kwargs), **dict.fromkeys(names))

    short = copy.copy(model)
    give_own_class(short, forward=forward, left_out_of_outputs=tuple(names))
    return short
