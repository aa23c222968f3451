"""Batch, layer, group and instance normalisation under other conventions."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from parity.blame.diagnosis.altered.batch_statistics import biased_running_variance, momentum, observing, statistics
from parity.blame.diagnosis.altered.change import Altered, changed, forwarding, reweighted
from parity.blame.diagnosis.altered.standardised import of_variance, other_channels

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
EPS = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12, 1e-4, 1e-7, 0.0, 2.0**-23, 2.0**-52)


def eps(module: nn.Module) -> Iterator[Altered]:
    """The usual values of eps, in a norm of the user's own too."""
    if isinstance(module, nn.RMSNorm) and module.eps is None:
        own = float(torch.finfo(torch.float32).eps)
        text = f"None, which is the dtype's own, {own:.4g} in float32"
        yield from _other_eps(module, "eps", text)
        return
    for name, value in list(vars(module).items()):
        if "eps" in name and isinstance(value, float):
            yield from _other_eps(module, name, f"{value:g}")


def _other_eps(module: nn.Module, name: str, pytorch_eps: str) -> Iterator[Altered]:
    for value in EPS:
        if value != getattr(module, name):
            text = f"Flax computes with eps={value:g} where PyTorch has {pytorch_eps}"
            yield "eps", text, changed(module, **{name: value})


def affine(module: nn.Module) -> Iterator[Altered]:
    """Scale or bias left out, or one in place of the other."""
    if not isinstance(module, NORMS) or getattr(module, "weight", None) is None:
        return
    yield "scale-missing", "Flax leaves out the scale", reweighted(module, weight=torch.ones_like)
    yield "scale-plus-one", "Flax multiplies by 1 + scale", reweighted(module, weight=lambda w: w + 1)
    if getattr(module, "bias", None) is not None:
        yield "bias-missing", "Flax leaves out the bias", reweighted(module, bias=torch.zeros_like)
        both = reweighted(module, weight=torch.ones_like, bias=torch.zeros_like)
        yield "affine-missing", "Flax leaves out scale and bias", both


def unbiased(module: nn.Module) -> Iterator[Altered]:
    """Layer normalisation by n - 1."""
    if isinstance(module, nn.LayerNorm):
        axes = tuple(range(-len(module.normalized_shape), 0))
        text = "Flax normalises by the unbiased variance, PyTorch by the biased one"
        yield "unbiased-variance", text, forwarding(module, lambda m, x: _normalised(m, x, axes, 1))


def eps_outside(module: nn.Module) -> Iterator[Altered]:
    """Eps added to the standard deviation."""
    if isinstance(module, nn.LayerNorm):
        axes = tuple(range(-len(module.normalized_shape), 0))
        for ddof, name in ((0, "eps-outside"), (1, "eps-outside-unbiased")):
            text = "Flax adds eps to the standard deviation, PyTorch to the variance"
            text += ", and Flax's is unbiased" if ddof else ""
            yield name, text, forwarding(module, lambda m, x, ddof=ddof: _normalised(m, x, axes, ddof, outside=True))


def other_axes(module: nn.Module) -> Iterator[Altered]:
    """Layer normalisation over other axes than the trailing ones of `normalized_shape`."""
    if not isinstance(module, nn.LayerNorm):
        return
    for axes in ((-1,), (-2, -1), (-3, -2, -1), (1,), (0,), (-2,), (0, 1)):
        if axes != tuple(range(-len(module.normalized_shape), 0)):
            text = f"Flax normalises over axes {axes}, PyTorch over the last {len(module.normalized_shape)}"
            yield "norm-axes", text, forwarding(module, lambda m, x, axes=axes: _normalised(m, x, axes, 0))
    text = "Flax normalises over all axes but the first"
    yield "norm-axes", text, forwarding(module, lambda m, x: _normalised(m, x, tuple(range(1, x.ndim)), 0))


def no_mean(module: nn.Module) -> Iterator[Altered]:
    """Division by the root mean square, no mean subtracted."""
    if isinstance(module, nn.LayerNorm):
        axes = tuple(range(-len(module.normalized_shape), 0))
        text = "Flax divides by the root mean square without subtracting the mean (RMSNorm)"
        yield "rms-norm", text, forwarding(module, lambda m, x: _normalised(m, x, axes, 0, centred=False))


def mean_too(module: nn.Module) -> Iterator[Altered]:
    """The mean subtracted, where PyTorch divides by the root mean square alone; eps elsewhere."""
    if isinstance(module, nn.RMSNorm):
        axes = tuple(range(-len(module.normalized_shape), 0))
        for value in (module.eps, *EPS):
            text = "Flax subtracts the mean (layer normalisation), PyTorch's RMSNorm does not"
            text += "" if value == module.eps else f"; its eps is {value:g}"
            altered = changed(module, eps=value or 0.0)
            yield "layer-norm", text, forwarding(altered, lambda m, x: _normalised(m, x, axes, 0))
            text = "Flax adds eps to the root mean square, PyTorch to its square"
            outside = forwarding(altered, lambda m, x: _normalised(m, x, axes, 0, centred=False, outside=True))
            yield "eps-outside", text, outside


def _normalised(
    m: Any, x: torch.Tensor, axes: tuple[int, ...], ddof: int, centred: bool = True, outside: bool = False
) -> torch.Tensor:
    if centred:
        var, mean = torch.var_mean(x, axes, correction=ddof, keepdim=True)
        y = x - mean
    else:
        y = x
        var = x.square().mean(axes, keepdim=True)
    y = y / (var.sqrt() + m.eps) if outside else y / torch.sqrt(var + m.eps)
    y = y if m.weight is None else y * m.weight
    return y if getattr(m, "bias", None) is None else y + m.bias


def groups(module: nn.Module) -> Iterator[Altered]:
    """Changes the number of groups, or deals the channels to the groups in turn."""
    if not isinstance(module, nn.GroupNorm):
        return
    channels = module.num_channels
    pytorch_groups = module.num_groups
    for count in range(1, channels + 1):
        if channels % count == 0 and count != pytorch_groups:
            text = f"Flax normalises {count} groups, PyTorch {pytorch_groups}"
            yield "group-count", text, changed(module, num_groups=count)
    if 1 < pytorch_groups < channels:
        text = "Flax deals the channels to the groups in turn, PyTorch's groups are contiguous"
        yield "group-order", text, forwarding(module, _dealt)


def _dealt(m: nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
    order = torch.arange(m.num_channels).reshape(-1, m.num_groups).T.reshape(-1)
    y = nn.functional.group_norm(x[:, order], m.num_groups, eps=m.eps)[:, torch.argsort(order)]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return y if m.weight is None else y * m.weight.reshape(shape) + m.bias.reshape(shape)


def channels_together(module: nn.Module) -> Iterator[Altered]:
    """Normalises groups of channels, or all of them, where PyTorch normalises each by itself."""
    channels = int(module.num_features) if isinstance(module, _InstanceNorm) else 0
    for count in range(1, channels):
        if channels % count == 0:
            text = f"Flax normalises the channels in {count} group{'s' * (count > 1)}, PyTorch each by itself"
            yield (
                "group-count",
                text,
                forwarding(module, lambda m, x, n=count: nn.functional.group_norm(x, n, m.weight, m.bias, m.eps)),
            )


def instance_as_batch(module: nn.Module) -> Iterator[Altered]:
    """Normalises the same channels over the batch, or each instance by itself."""
    if isinstance(module, _InstanceNorm):
        text = "Flax normalises over the batch, PyTorch each instance by itself"
        yield (
            "batch-norm",
            text,
            forwarding(
                module, lambda m, x: nn.functional.batch_norm(x, None, None, m.weight, m.bias, True, 0.0, m.eps)
            ),
        )
    elif isinstance(module, _BatchNorm):
        text = "Flax normalises each instance by itself, PyTorch over the batch"
        yield (
            "instance-norm",
            text,
            forwarding(
                module, lambda m, x: nn.functional.instance_norm(x, None, None, m.weight, m.bias, True, 0.0, m.eps)
            ),
        )
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        size = math.prod(module.normalized_shape)
        text = "Flax normalises each feature over the batch, PyTorch each row over its features"
        yield (
            "batch-norm",
            text,
            forwarding(
                module,
                lambda m, x: nn.functional.batch_norm(
                    x.reshape(-1, size), None, None, m.weight, m.bias, True, 0.0, m.eps
                ).reshape(x.shape),
            ),
        )


ALTERATIONS = [
    eps,
    momentum,
    biased_running_variance,
    affine,
    statistics,
    observing,
    unbiased,
    of_variance,
    eps_outside,
    no_mean,
    mean_too,
    other_axes,
    other_channels,
    groups,
    channels_together,
    instance_as_batch,
]
