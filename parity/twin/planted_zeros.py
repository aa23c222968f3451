"""Weights of which one unit of every layer is exactly zero: at zero the slopes of maxima and absolutes are a choice.

Random weights never make a number that is exactly 0, while a fresh bias, a padded image or a dead unit does.
"""

from dataclasses import replace

import numpy as np

from parity.twin.twin import State, Twin


def with_planted_zeros(twin: Twin) -> State:
    """Returns the start, the first unit of every trained weight and bias being 0; scales of norms stay."""
    tensors = dict(twin.start.tensors)
    for leaf in twin.leaves:
        for key in leaf.keys:
            array = tensors[key]
            if leaf.trained and np.issubdtype(array.dtype, np.floating) and not _is_scale(key, array):
                tensors[key] = _without_first_unit(array, own_layout=leaf.axes == tuple(range(len(leaf.axes))))
    return replace(twin.start, tensors=tensors)


def _is_scale(key: str, array: np.ndarray) -> bool:
    return array.squeeze().ndim < 2 and key.rpartition(".")[2] not in ("bias", "beta", "b")


def _without_first_unit(array: np.ndarray, own_layout: bool) -> np.ndarray:
    array = array.copy()
    units = array.reshape([n for n in array.shape if n > 1] or [-1])  # a bias of (1, channels, 1, 1), too
    if own_layout and units.ndim == 2:  # (in, out), as scratch classes have it
        units[..., 0] = 0
    elif units.size:
        units[0] = 0
    return array
