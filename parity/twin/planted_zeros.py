"""Weights of which one unit of every layer is exactly zero: at zero the slopes of maxima and absolutes are a choice.

Random weights never make a number that is exactly 0, while a fresh bias, a padded image or a dead unit does.
"""

from dataclasses import replace

import numpy as np
import torch
from torch.nn.modules.conv import _ConvTransposeNd

from parity.twin.twin import State, Twin


def with_planted_zeros(twin: Twin) -> State:
    """Returns the start, the first unit of every trained weight and bias being 0; scales of norms stay."""
    tensors = dict(twin.start.tensors)
    inputs_first = _inputs_first(twin.torch.model)
    for leaf in twin.leaves:
        for key in leaf.keys:
            array = tensors[key]
            if leaf.trained and np.issubdtype(array.dtype, np.floating) and not _is_scale(key, array):
                own_layout = leaf.axes == tuple(range(len(leaf.axes)))
                tensors[key] = _without_first_unit(array, own_layout, key in inputs_first)
    return replace(twin.start, tensors=tensors)


def with_zero_biases(twin: Twin) -> State:
    """Returns the start, all trained biases being 0, as most are in a fresh model."""
    trained = {key for leaf in twin.leaves if leaf.trained for key in leaf.keys}
    start = twin.start.tensors
    return replace(
        twin.start, tensors={k: np.zeros_like(x) if k in trained and _is_bias(k) else x for k, x in start.items()}
    )


def _is_bias(key: str) -> bool:
    name = key.rpartition(".")[2]
    return name.startswith("bias") or name in ("beta", "b")


def _is_scale(key: str, array: np.ndarray) -> bool:
    return array.squeeze().ndim < 2 and not _is_bias(key)


def _inputs_first(model: torch.nn.Module) -> set[str]:
    """Returns the weights of transposed convolutions, (in, out, height, width)."""
    transposed = (name for name, module in model.named_modules() if isinstance(module, _ConvTransposeNd))
    return {f"{name}.weight".lstrip(".") for name in transposed}


def _without_first_unit(array: np.ndarray, own_layout: bool, inputs_first: bool) -> np.ndarray:
    array = array.copy()
    if inputs_first:
        array[:, 0] = 0
        return array
    units = array.reshape([n for n in array.shape if n > 1] or [-1])  # a bias of (1, channels, 1, 1), too
    if own_layout and units.ndim == 2:  # (in, out), as scratch classes have it
        units[..., 0] = 0
    elif units.size:
        units[0] = 0
    return array
