"""Measured noise within a network: every layer's output, and the gradient that comes back through it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from parity.torch_arrays import to_numpy, to_torch

Disturb = Callable[[np.ndarray], np.ndarray]


@contextmanager
def disturbed_layers(model: nn.Module, disturb: Disturb) -> Iterator[None]:
    """Within it, layers round otherwise: outputs and cotangents are multiplied by 1, disturbed.

    Layers are the modules with parameters or buffers of their own: the others hardly round, and the numbers that
    pooling copies are equal for the next pooling.
    """

    def moved(tensor: Any) -> Any:
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            return tensor
        ones = np.ones_like(to_numpy(tensor))
        return tensor * to_torch(disturb(ones)).to(tensor.device)

    def after(module: nn.Module, args: tuple, output: Any) -> Any:
        return tree_map(moved, output)

    still = disturb is np.asarray
    handles = (
        [] if still else [layer.register_forward_hook(after) for layer in model.modules() if _holds_tensors(layer)]
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _holds_tensors(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return any(tensor.is_floating_point() for tensor in own)
