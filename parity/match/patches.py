"""Convolutions as what a Flax model may have in their place.

One whose windows do not overlap is a dense layer of patches; one whose windows are as wide as its images, of a single
channel, is a convolution along the height, whose channels are the columns: words and their features, say. Windows as
high as the images make one along the width.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from parity.match.flax_layers import Variables
from parity.match.kernels import AlongWidth
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def layers_of_patches(recorded: Recorded, variables: Variables) -> Iterator[TorchLayer]:
    """Yields the dense layers, where Flax has matrices of their sizes and too few kernels with windows."""
    windows = Counter(variable.size for variable in variables.all.values() if len(variable.shape) > 2)
    matrices = {variable.size for variable in variables.all.values() if len(variable.shape) == 2}
    theirs = Counter(array.size for array in recorded.arrays.values() if array.ndim > 2)
    for layer in recorded.layers:
        weight = recorded.arrays.get(layer.tensors.get("weight", ""))
        if weight is None or windows[weight.size] >= theirs[weight.size] or weight.size not in matrices:
            continue
        if isinstance(layer.module, CONVOLUTIONS) and _takes_patches(layer.module):
            yield _of_patches(layer)


def layers_of_rows(recorded: Recorded, variables: Variables) -> Iterator[TorchLayer]:
    """Yields the convolutions along one axis, where Flax has kernels of their sizes with one axis less."""
    shapes = {variable.shape for variable in variables.all.values()}
    for layer in recorded.layers:
        module: Any = layer.module
        if not isinstance(module, torch.nn.Conv2d) or module.in_channels > 1:
            continue
        images = [call.inputs[0] for call in layer.calls]
        for along in (0, 1):
            size = module.kernel_size[1 - along]
            whole = all(x.ndim == 4 and x.shape[3 - along] == size for x in images)
            covered = whole and size > 1 and not _padding(module)[1 - along]
            if covered and (module.kernel_size[along], size, module.out_channels) in shapes:
                yield _along(layer, along)


def _padding(module: Any) -> tuple[int, int]:
    """Returns the padding along each axis; the windows' sizes, which are more than it is, where it is "same"."""
    if isinstance(module.padding, str):
        return (0, 0) if module.padding == "valid" else module.kernel_size
    return module.padding


def _along(layer: TorchLayer, axis: int) -> TorchLayer:
    """Returns the convolution along the height, 0, or the width, 1, to which the other axis is that of channels."""
    whole: Any = layer.module
    kind = (torch.nn.Conv1d, AlongWidth)[axis]
    options = {"stride": whole.stride[axis], "padding": _padding(whole)[axis], "dilation": whole.dilation[axis]}
    sizes = whole.kernel_size[1 - axis], whole.out_channels, whole.kernel_size[axis]
    module = kind(*sizes, **options, device="meta")
    calls = [
        NumpyCall([np.moveaxis(call.inputs[0][:, 0], 1 + axis, 2)], call.output.squeeze(3 - axis))
        for call in layer.calls
    ]
    return TorchLayer(f"{layer.name}.rows", module, layer.tensors, calls, whole=layer)


def _takes_patches(module: Any) -> bool:
    plain = module.groups == 1 and not any(_padding(module)) and all(n == 1 for n in module.dilation)
    return plain and module.stride == module.kernel_size and math.prod(module.kernel_size) > 1


def _of_patches(layer: TorchLayer) -> TorchLayer:
    whole: Any = layer.module
    dense = torch.nn.Linear(math.prod(whole.kernel_size) * whole.in_channels, whole.out_channels, device="meta")
    calls = [
        NumpyCall([_patches(call.inputs[0], whole.kernel_size)], np.moveaxis(call.output, 1, -1))
        for call in layer.calls
    ]
    return TorchLayer(f"{layer.name}.patches", dense, layer.tensors, calls, whole=layer)


def _patches(x: np.ndarray, window: tuple[int, ...]) -> np.ndarray:
    """Returns (batch, *grid, numbers of a patch, its channels last) of images with their channels first."""
    batch, channels, *sizes = x.shape
    grid = [size // length for size, length in zip(sizes, window, strict=True)]
    whole = x[(..., *(slice(n * length) for n, length in zip(grid, window, strict=True)))]
    parts = whole.reshape(batch, channels, *(n for pair in zip(grid, window, strict=True) for n in pair))
    places = range(2, 2 + 2 * len(window))
    return parts.transpose(0, *places[::2], *places[1::2], 1).reshape(batch, *grid, -1)
