"""Batch normalisation over the batches of all processes, as PyTorch's SyncBatchNorm, which needs a GPU."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from d2l_jax.errors import InputError


class _Summed(torch.autograd.Function):
    """The sum over all processes; its gradient is summed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        distributed.all_reduce(total)
        return total


def synchronise(model: nn.Module) -> None:
    """Has every BatchNorm of the model take its statistics over all processes, in place.

    Raises InputError where a module of another kind keeps buffers, which no such layer knows.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            module.forward = lambda x, module=module: _normalised(module, x)  # type: ignore[method-assign]
        elif any(buffer.is_floating_point() for buffer in module.buffers(recurse=False)):
            kind = type(module).__name__
            raise InputError(f"{name} ({kind}) is no BatchNorm of PyTorch's, and cannot be synchronised")


def _normalised(layer: _BatchNorm, x: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    count = x.numel() // x.shape[1] * distributed.get_world_size()
    mean = _summed(x.sum(axes)) / count
    centred = x - mean.reshape(shape)
    variance = _summed((centred**2).sum(axes)) / count
    _observe(layer, mean.detach(), variance.detach() * count / (count - 1))
    y = centred * torch.rsqrt(variance + layer.eps).reshape(shape)
    return y * layer.weight.reshape(shape) + layer.bias.reshape(shape)


def _summed(x: Tensor) -> Tensor:
    return _Summed.apply(x)  # type: ignore[return-value]


@torch.no_grad()
def _observe(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert layer.num_batches_tracked is not None and layer.momentum is not None
    layer.num_batches_tracked.add_(1)
    for running, new in ((layer.running_mean, mean), (layer.running_var, variance)):
        assert running is not None
        running.mul_(1 - layer.momentum).add_(layer.momentum * new)
