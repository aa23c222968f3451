"""The variance as the mean square less the squared mean: it loses digits where the mean is large.

Rounding cannot be repeated to the digit; the formula is the cause where it errs about as much as Flax does.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from parity.blame.diagnosis.cause import NOISE, Cause, distance

FACTOR = 50.0


def fast_variance(
    module: nn.Module, x: torch.Tensor, training: bool, oracle: np.ndarray, flax: np.ndarray
) -> Cause | None:
    """Names the fast variance, where PyTorch's layer with it is about as far from the oracle as Flax is.

    x: in the precision that Flax has computed in
    """
    with torch.no_grad():
        y = _normalised(module, x, training)
    if y is None or y.shape != oracle.shape or oracle.shape != flax.shape:
        return None
    fast = y.double().numpy()
    gap = distance([oracle], [flax], [oracle])
    own = distance([oracle], [fast], [oracle])
    if own <= 100 * NOISE or not gap / FACTOR <= own <= FACTOR * gap:
        return None
    text = "Flax computes the variance as the mean square less the squared mean, which loses digits where the mean is"
    text += f" large: it errs by {gap:.0e}, PyTorch's layer with that formula by {own:.0e}; use_fast_variance=False"
    return Cause("fast-variance", f"{text} is right", gap)


def _normalised(m: Any, x: torch.Tensor, training: bool) -> torch.Tensor | None:
    if isinstance(m, nn.LayerNorm):
        axes = tuple(range(-len(m.normalized_shape), 0))
        y = _standard(x, axes, m.eps)
        return y if m.weight is None else y * m.weight + (0 if m.bias is None else m.bias)
    if isinstance(m, nn.GroupNorm):
        groups = x.reshape(len(x), m.num_groups, -1)
        y = _standard(groups, (-1,), m.eps).reshape(x.shape)
    elif isinstance(m, _BatchNorm) and (training or m.running_mean is None):
        y = _standard(x, tuple(axis for axis in range(x.ndim) if axis != 1), m.eps)
    elif isinstance(m, _InstanceNorm):
        y = _standard(x, tuple(range(2, x.ndim)), m.eps)
    else:
        return None
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return y if m.weight is None else y * m.weight.reshape(shape) + m.bias.reshape(shape)


def _standard(x: torch.Tensor, axes: tuple[int, ...], eps: float) -> torch.Tensor:
    mean = x.mean(axes, keepdim=True)
    variance = (x.square().mean(axes, keepdim=True) - mean.square()).clamp(min=0)
    return (x - mean) * torch.rsqrt(variance + eps)
