"""Batch, group and instance normalisation written out: which numbers have a mean in common, and where eps stands."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from parity.blame.diagnosis.altered.change import Altered, followed, forwarding, through

KINDS = (_NormBase, nn.GroupNorm)


def of_variance(module: nn.Module) -> Iterator[Altered]:
    """Normalising by n - 1, and eps added to the standard deviation."""
    if not isinstance(module, KINDS):
        return
    text = "Flax normalises by the unbiased variance, PyTorch by the biased one"
    yield "unbiased-variance", text, forwarding(module, lambda m, x: _normalised(m, x, correction=1))
    text = "Flax adds eps to the standard deviation, PyTorch to the variance"
    yield "eps-outside", text, forwarding(module, lambda m, x: _normalised(m, x, outside=True))
    both = forwarding(module, lambda m, x: _normalised(m, x, correction=1, outside=True))
    yield "eps-outside-unbiased", f"{text}, and Flax's is unbiased", both


def _normalised(m: Any, x: torch.Tensor, correction: int = 0, outside: bool = False) -> torch.Tensor:
    shape = (1, -1, *(1,) * (x.ndim - 2))
    observed = type(m).forward(m, x)  # which leaves the running statistics as they have to be
    if isinstance(m, _NormBase) and m.track_running_stats and not m.training:
        if correction:
            return observed
        rows, (mean, var) = x, (m.get_buffer(name).reshape(shape) for name in ("running_mean", "running_var"))
    else:
        rows, axes = _rows(m, x)
        var, mean = torch.var_mean(rows, axes, correction=correction, keepdim=True)
    deviation = var.sqrt() + m.eps if outside else torch.sqrt(var + m.eps)
    y = ((rows - mean) / deviation).reshape(x.shape)
    return y if m.weight is None else y * m.weight.reshape(shape) + m.bias.reshape(shape)


def _rows(m: Any, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Returns the numbers, and the axes along which they are normalised together."""
    if isinstance(m, _BatchNorm):
        return x, tuple(axis for axis in range(x.ndim) if axis != 1)
    groups = x.shape[1] if isinstance(m, _InstanceNorm) else m.num_groups
    return x.reshape(len(x), groups, -1), (-1,)


def other_channels(module: nn.Module) -> Iterator[Altered]:
    """Another axis of the input that has a mean for each of its places, with its scale or without."""
    if not isinstance(module, _BatchNorm):
        return
    for axis in (2, 3, 0):
        turned = followed(through(module, lambda x, a=axis: x.transpose(1, a)), lambda y, a=axis: y.transpose(1, a))
        text = f"Flax takes axis {axis} for the features of batch normalisation, PyTorch axis 1"
        yield "norm-axes", text, turned
        if not module.track_running_stats:
            text = f"Flax has a mean for each place of axis {axis}, PyTorch for each of axis 1"
            yield "norm-axes", text, forwarding(module, lambda m, x, a=axis: _along(m, x, a))


def _along(m: Any, x: torch.Tensor, axis: int) -> torch.Tensor:
    """Statistics of one axis, the scale of another."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    var, mean = torch.var_mean(x, [a for a in range(x.ndim) if a != axis], correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(var + m.eps)
    return y if m.weight is None else y * m.weight.reshape(shape) + m.bias.reshape(shape)
