"""Convolutions along fewer axes than Flax's, or along more: an axis along which a window is a single place is none.

PyTorch's `Conv2d` of windows (3, 1), say, is Flax's `Conv` of (3,), whose images stand one by one among the examples.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from parity.match.flax_layers import FlaxLayer, Variables
from parity.match.handing import CONVOLUTIONS
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer

KINDS = (
    (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d),
    (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d),
)
ONES = ("kernel_size", "stride", "dilation")  # of an axis along which nothing happens
Shape = tuple[int, ...]
Axes = tuple[int, ...]


def has_other_axes(module: Any, flax: FlaxLayer) -> bool:
    """Tells whether both are convolutions, along another number of axes: the layers made here are meant."""
    if not _kinds(module) or not issubclass(flax.kind, CONVOLUTIONS) or math.prod(module.kernel_size) == 1:
        return False
    return len(module.kernel_size) != max(len(variable.shape) for variable in flax.variables) - 2


def layers_of_other_axes(
    recorded: Recorded, variables: Variables, inputs: Sequence[np.ndarray]
) -> Iterator[TorchLayer]:
    """Yields the convolutions along fewer axes, or more, where Flax has kernels of such windows.

    inputs: of Flax's model, which tell how many examples there are
    """
    kernels = [variable.shape for variable in variables.all.values() if len(variable.shape) > 2]
    counts = [len(x) for x in inputs[:1] if np.ndim(x)]
    for layer in recorded.layers:
        module: Any = layer.module
        weight = recorded.arrays.get(layer.tensors.get("weight", ""))
        kinds = _kinds(module) if layer.calls else ()
        if weight is None or not kinds or math.prod(module.kernel_size) == 1:
            continue
        windows = dict.fromkeys(kernel[:-2] for kernel in kernels if math.prod(kernel) == weight.size)
        for window in (window for window in windows if len(window) <= len(kinds)):
            for kept in _kept(module.kernel_size, window):
                if _is_free(module, kept):
                    yield _along_fewer(layer, kept, kinds)
            for kept in _kept(window, module.kernel_size):
                for number in dict.fromkeys([None, *counts]):
                    if number is None or not any(len(call.inputs[0]) % number for call in layer.calls):
                        yield _along_more(layer, kept, kinds[len(window) - 1], len(window), number)


def _kinds(module: Any) -> Sequence[type]:
    return next((kinds for kinds in KINDS if isinstance(module, kinds)), ())


def _kept(window: Shape, part: Shape) -> Iterator[Axes]:
    """Yields which axes of a window are those of one along fewer, the others being of a single place."""
    for kept in itertools.combinations(range(len(window)), len(part)) if len(part) < len(window) else ():
        if tuple(window[axis] for axis in kept) == part and math.prod(window) == math.prod(part):
            yield kept


def _is_free(module: Any, kept: Axes) -> bool:
    """Tells whether nothing is put beside the images along the other axes."""
    others = [axis for axis in range(len(module.kernel_size)) if axis not in kept]
    padded = [] if isinstance(module.padding, str) else [module.padding[axis] for axis in others]
    return not any(padded) and not (module.transposed and any(module.stride[axis] > 1 for axis in others))


def _along_fewer(layer: TorchLayer, kept: Axes, kinds: Sequence[type]) -> TorchLayer:
    """Returns the convolution along some axes; what has another place along the others is an example of its own."""
    whole: Any = layer.module
    others = [axis for axis in range(len(whole.kernel_size)) if axis not in kept]

    def examples(x: np.ndarray, steps: Sequence[int]) -> np.ndarray:
        places = [slice(None, None, steps[axis] if axis in others else 1) for axis in range(len(steps))]
        x = np.moveaxis(x[(..., *places)], [axis + 2 for axis in others], range(1, len(others) + 1))
        return x.reshape(-1, *x.shape[len(others) + 1 :])

    once = (1,) * len(whole.kernel_size)
    calls = [NumpyCall([examples(call.inputs[0], whole.stride)], examples(call.output, once)) for call in layer.calls]
    return _made(layer, kinds[len(kept) - 1], {name: _those(value, kept) for name, value in _options(whole)}, calls)


def _along_more(layer: TorchLayer, kept: Axes, kind: type, rank: int, count: int | None) -> TorchLayer:
    """Returns the convolution with further axes: of one place each, the first of them of several in each example.

    count: of examples, where this is so; else None
    """
    first, *others = (axis for axis in range(rank) if axis not in kept)

    def images(x: np.ndarray) -> np.ndarray:
        x = x[None] if count is None else x.reshape(count, -1, *x.shape[1:])
        x = np.moveaxis(x, 0 if count is None else 1, 2 + first)
        return np.expand_dims(x, [2 + axis for axis in others])

    calls = [NumpyCall([images(call.inputs[0])], images(call.output)) for call in layer.calls]
    placed = {name: _placed(value, kept, rank, int(name in ONES)) for name, value in _options(layer.module)}
    return _made(layer, kind, placed, calls)


def _options(module: Any) -> Iterator[tuple[str, Any]]:
    names = (*ONES, "padding", *(["output_padding"] if module.transposed else []))
    yield from ((name, getattr(module, name)) for name in names)


def _those(value: Any, kept: Axes) -> Any:
    return value if isinstance(value, str) else tuple(value[axis] for axis in kept)


def _placed(value: Any, kept: Axes, rank: int, other: int) -> Any:
    return value if isinstance(value, str) else tuple(dict(zip(kept, value)).get(axis, other) for axis in range(rank))


def _made(layer: TorchLayer, kind: type, options: dict[str, Any], calls: list[NumpyCall]) -> TorchLayer:
    whole: Any = layer.module
    module = kind(whole.in_channels, whole.out_channels, groups=whole.groups, **options, device="meta")
    return TorchLayer(f"{layer.name}.{len(module.kernel_size)}d", module, layer.tensors, calls, whole=layer)
