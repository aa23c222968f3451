"""Measured noise within a network: every layer's output, and the gradient that comes back through it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from parity.arrays.torch_arrays import to_numpy, to_torch

Disturb = Callable[[np.ndarray], np.ndarray]


@contextmanager
def disturbed_layers(model: nn.Module, disturb: Disturb) -> Iterator[None]:
    """Within it, layers round otherwise: outputs and cotangents are multiplied by 1, disturbed.

    Layers are the modules with parameters or buffers of their own: the others hardly round, and the numbers that
    pooling copies are equal for the next pooling. A sum of n terms rounds as sqrt(n) ulps do.
    """

    layers = [] if disturb is np.asarray else [(module, n) for module in model.modules() if (n := _terms(module))]
    handles = [layer.register_forward_hook(partial(_after, disturb, math.sqrt(n))) for layer, n in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _after(disturb: Disturb, ulps: float, module: nn.Module, args: tuple, output: Any) -> Any:
    return tree_map(partial(moved, disturb=disturb, ulps=ulps), output)


def moved(tensor: Any, disturb: Disturb, ulps: float) -> Any:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        return tensor
    ones = np.ones_like(to_numpy(tensor))
    factors = 1 + (disturb(ones) - 1) * np.asarray(ulps, ones.dtype)
    return tensor * to_torch(factors).to(tensor.device)


def _terms(module: nn.Module) -> int:
    """Counts the terms of the longest sum behind a number of the output, as far as the tensors tell; 0 without any."""
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return max((tensor[0].numel() if tensor.ndim > 1 else 1 for tensor in own if tensor.is_floating_point()), default=0)
