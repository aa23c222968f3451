"""Ways to alter a module: always a deep copy, with other attributes, other weights or another forward."""

import copy
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from parity.models.copies import copy_of

# One convention altered: a stable name, a line for people, the altered copy.
Altered = tuple[str, str, nn.Module]
Alteration = Callable[[nn.Module], Iterator[Altered]]


def changed(module: nn.Module, **attributes: Any) -> nn.Module:
    """A copy with other attributes."""
    twin = copy_of(module)
    for name, value in attributes.items():
        setattr(twin, name, value)
    return twin


def forwarding(module: nn.Module, function: Callable[..., Any]) -> nn.Module:
    """A copy whose forward is `function(module, *args)`; names of parameters and buffers stay."""
    twin = copy_of(module)
    twin.forward = types.MethodType(function, twin)
    return twin


def through(module: nn.Module, before: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """A copy that first applies `before` to its input."""
    inner = forward_of(module)
    return forwarding(module, lambda m, x, *more: inner(m, before(x), *more))


def followed(module: nn.Module, after: Callable[[Any], Any]) -> nn.Module:
    """A copy that applies `after` to its output."""
    inner = forward_of(module)
    return forwarding(module, lambda m, *args, **kwargs: after(inner(m, *args, **kwargs)))


def reweighted(module: nn.Module, **weights: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """A copy that computes with functions of its parameters; gradients still reach the parameters."""

    inner = forward_of(module)

    def forward(m: nn.Module, *args: Any, **kwargs: Any) -> Any:
        plain, made = _bare(m)
        plain.forward = types.MethodType(inner, plain)
        new = {name: function(made[name] if name in made else _tensor(m, name)) for name, function in weights.items()}
        return torch.func.functional_call(plain, made | new, args, kwargs)

    return forwarding(module, forward)


def _bare(module: nn.Module) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Returns a shallow copy without hooks and parametrizations, and what these have made of its parameters.

    They have run once, as in every call: spectral_norm's would take a second step of its iteration.
    """
    bare = copy.copy(module)
    vars(bare).update(_forward_pre_hooks=OrderedDict(), _forward_hooks=OrderedDict())
    if not is_parametrized(module):
        return bare, {}
    bare.__class__ = type(module).__bases__[0]
    return bare, {name: getattr(module, name) for name in cast(nn.ModuleDict, module.parametrizations)}


def _tensor(module: nn.Module, name: str) -> torch.Tensor:
    """A parameter, or what a functional call has put in its place."""
    owner, _, last = name.rpartition(".")
    return getattr(module.get_submodule(owner), last)


def forward_of(module: nn.Module) -> Callable[..., Any]:
    """The forward as it is, altered before or not, as a function of the module."""
    return getattr(module.__dict__.get("forward"), "__func__", type(module).forward)


def sized(module: nn.Module, axes: int, value: Any) -> tuple[int, ...]:
    """The option for each axis: 3 is (3, 3) for a module over two spatial axes."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
