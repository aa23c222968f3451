"""The order of axes of arrays whose shape is the same with channels first and last: their numbers tell."""

from itertools import product
from typing import Any

import jax
import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from parity.arrays.layout import Axes, channels_first, fitting, is_ambiguous, transposed
from parity.arrays.torch_arrays import to_numpy

CHANNELS_LAST = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.Embedding)
CHANNELS_FIRST = (_ConvNd, _BatchNorm, _InstanceNorm, torch.nn.GroupNorm)


def nearest_axes(axes: Axes, module: torch.nn.Module, theirs: torch.Tensor, ours: jax.Array) -> Axes:
    """Returns the order of Flax's axes, or the other of channels first and last where that is far nearer.

    module: PyTorch's, some of which are always one of the two
    """
    if not theirs.is_floating_point() or len(axes) != ours.ndim:
        return axes
    if not is_ambiguous(ours.shape):
        return _with_another_first(axes, theirs, ours)
    last = tuple(range(len(axes)))
    first = channels_first(len(axes))
    over_one_axis = len(getattr(module, "normalized_shape", last[:1])) == 1
    if isinstance(module, (*CHANNELS_LAST, *CHANNELS_FIRST)) and over_one_axis:
        return last if isinstance(module, CHANNELS_LAST) else first
    other = first if axes == last else last
    numbers = to_numpy(theirs)
    return other if _tells_other(numbers, *(transposed(np.asarray(ours), order) for order in (axes, other))) else axes


def _with_another_first(axes: Axes, theirs: torch.Tensor, ours: jax.Array) -> Axes:
    """Returns the order of axes, or of those that fit as well the one far nearer, where the first axes are not one."""
    if axes[:1] in ((), (0,)):
        return axes
    numbers = to_numpy(theirs)
    plain, *others = (transposed(np.asarray(ours), order) for order in (axes, *fitting(ours.shape, numbers.shape)))
    orders = zip(fitting(ours.shape, numbers.shape), others)
    return next((order for order, other in orders if _tells_other(numbers, plain, other)), axes)


def is_part(ours: Any, theirs: Any) -> bool:
    """Tells whether Flax's result is a part of PyTorch's, which crops later what it padded too much."""
    if not isinstance(theirs, torch.Tensor) or not theirs.is_floating_point() or theirs.ndim != np.ndim(ours):
        return False
    whole = to_numpy(theirs)
    near = 1e-9 * float(np.max(np.abs(whole), initial=0.0))
    for order in (tuple(range(whole.ndim)), channels_first(whole.ndim)):
        part = transposed(np.asarray(ours), order)
        over = [long - short for long, short in zip(whole.shape, part.shape, strict=True)]
        starts = product(*(range(more + 1) for more in over))  # none where one is negative
        windows = (whole[tuple(slice(i, i + n) for i, n in zip(start, part.shape, strict=True))] for start in starts)
        if any(np.max(np.abs(window - part), initial=0.0) <= near for window in windows):
            return True
    return False


def _tells_other(theirs: np.ndarray, plain: np.ndarray, other: np.ndarray) -> bool:
    """Tells whether the other order of Flax's axes is far nearer, or would be but for what no order changes.

    An identity matrix that one side lacks is the same in both orders; only their difference tells them apart.
    """
    apart = [float(np.linalg.norm(theirs - ours)) for ours in (plain, other)]
    size = float(np.linalg.norm(other - plain))
    if apart[1] < apart[0] / 10 or not size:
        return bool(size)
    share = 2 * float(np.vdot(theirs, other - plain)) / size**2  # 1 in the other order, -1 in the plain one
    chance = 2 * float(np.linalg.norm(theirs)) / (size * theirs.size**0.5)
    return abs(share - 1) < 1e-6 or share > max(0.9, 4 * chance)
