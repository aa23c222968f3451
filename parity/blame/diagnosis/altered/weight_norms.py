"""Weights that are divided by their norm, which Flax takes along other axes, or by more or fewer iterations."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from parity.blame.diagnosis.altered.change import Altered
from parity.models.copies import copy_of

Axes = tuple[int, ...]
SPECTRAL = SpectralNorm, _SpectralNorm
ITERATIONS = 0, 1, 2, 3, 5, 10


class _Normed(nn.Module):
    """A parametrization by a norm along any axes."""

    def __init__(self, axes: Axes):
        super().__init__()
        self.axes = axes

    def forward(self, size: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return _normed(self.axes, size, direction)


def axes_of_norm(module: nn.Module) -> Iterator[Altered]:
    """The norm of the whole weight, or for each index of another axis."""
    for name, parts in getattr(module, "parametrizations", {}).items():
        if isinstance(parts[0], _WeightNorm):
            for text, axes in _others(parts.original1.ndim, parts[0].dim):
                altered: Any = copy_of(module)
                altered.parametrizations[name][0] = _Normed(axes)
                yield "weight-norm-axis", text, altered
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm):
            for text, axes in _others(getattr(module, f"{hook.name}_v").ndim, hook.dim):
                altered = copy_of(module)
                changed = altered._forward_pre_hooks[key]
                changed.compute_weight = partial(_of_hook, axes, hook.name)
                yield "weight-norm-axis", text, altered


def power_iterations(module: nn.Module) -> Iterator[Altered]:
    """Other numbers of steps that spectral_norm's iteration takes in a forward pass."""
    for number, part in enumerate(_iterating(module)):
        now = part.n_power_iterations
        for steps in (n for n in ITERATIONS if n != now):
            text = f"Flax takes {steps} power iterations of spectral_norm in a forward pass, PyTorch {now}"
            altered = copy_of(module)
            _iterating(altered)[number].n_power_iterations = steps
            yield "power-iterations", text, altered


def _iterating(module: nn.Module) -> list[Any]:
    """Lists the spectral norms of a module, in PyTorch's old form and the new one."""
    parametrized = [part for parts in getattr(module, "parametrizations", {}).values() for part in parts]
    return [x for x in (*module._forward_pre_hooks.values(), *parametrized) if isinstance(x, SPECTRAL)]


def _others(rank: int, dim: int | None) -> Iterator[tuple[str, Axes]]:
    """Yields other axes along which the norm may be, in words; `dim`: the axis that PyTorch leaves out."""
    whole = tuple(range(rank))
    now = whole if dim in (None, -1) else tuple(axis for axis in whole if axis != dim)
    said = "of the whole" if now == whole else f"for each index of axis {dim}"
    ways = [("of the whole", whole), *((f"for each index of axis {k}", whole[:k] + whole[k + 1 :]) for k in whole)]
    for words, axes in ways:
        if axes != now and axes:
            yield f"Flax divides the weight by its norm {words}, PyTorch by that {said} (weight_norm)", axes


def _of_hook(axes: Axes, name: str, module: nn.Module) -> torch.Tensor:
    return _normed(axes, getattr(module, f"{name}_g"), getattr(module, f"{name}_v"))


def _normed(axes: Axes, size: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    return direction * (size / torch.linalg.vector_norm(direction, dim=axes, keepdim=True))


ALTERATIONS = [power_iterations, axes_of_norm]
