"""Random values for all tensors of a model of PyTorch's."""

import numpy as np
import torch
from jaxtyping import Num

from parity.models.padding_rows import padding_rows

Array = Num[np.ndarray, "..."]


def randomize(model: torch.nn.Module, random: np.random.Generator) -> None:
    """Draws weights that keep a signal's size; biases, scales and statistics away from 0 and 1. Padding stays zero."""
    done: set[int] = set()
    padding = list(padding_rows(model))
    with torch.no_grad():
        for module in model.modules():
            statistics = [(n, b) for n, b in module.named_buffers(recurse=False) if n.startswith("running_")]
            for name, tensor in [*module.named_parameters(recurse=False), *statistics]:
                if id(tensor) not in done and tensor.is_floating_point():
                    tensor.copy_(torch.from_numpy(_values(name, tuple(tensor.shape), random)))
                    done.add(id(tensor))
        for key, row in padding:
            model.get_parameter(key)[row] = 0


def _values(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if len(shape) > 1:
        return random.normal(size=shape) * np.sqrt(2 * shape[0] / max(np.prod(shape), 1))
    if "bias" in name or "mean" in name:
        return np.asarray(0.3 * random.normal(size=shape))
    return np.asarray(random.uniform(0.5, 1.5, size=shape))
