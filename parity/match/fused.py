"""Layers of PyTorch's that compute several of Flax's at once: `qkv` of a vision transformer, two gates, groups."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from d2l_jax.weights.leaf import Rows, rows_of
from parity.match.flax_layers import Variables
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
NAMES = {3: ("query", "key", "value"), 2: ("first", "second")}


def fused_layers(recorded: Recorded, variables: Variables, blocks: int = 1) -> Iterator[TorchLayer]:
    """Yields equal parts of dense layers, one below the other, where Flax lacks kernels of the whole size.

    A part that has the input of a layer of Flax's may be its partner; what it computes is known. Of several blocks,
    as of heads, each has rows of all parts.
    """
    ours = Counter(variable.size for variable in variables.all.values() if len(variable.shape) > 1)
    theirs = Counter(array.size for array in recorded.arrays.values() if array.ndim > 1)
    for layer in recorded.layers:
        weight = recorded.arrays.get(layer.tensors.get("weight", ""))
        if layer.whole or weight is None or ours[weight.size] >= theirs[weight.size]:
            continue  # of an attention, or a layer that Flax may have whole
        if isinstance(layer.module, CONVOLUTIONS) and ours[weight.size // layer.module.groups] >= layer.module.groups:
            yield from _groups(layer)
        if not isinstance(layer.module, torch.nn.Linear):
            continue
        for count, names in NAMES.items():
            rows, rest = divmod(len(weight), count * blocks)
            if not rest and ours[weight.size // count] >= count:
                for number, name in enumerate(names):
                    part = number * rows, (number + 1) * rows
                    yield _part(layer, name, part if blocks == 1 else (*part, count * rows))


def _groups(layer: TorchLayer) -> Iterator[TorchLayer]:
    """Yields the convolutions of which one with groups is made; of one group, none."""
    whole: Any = layer.module
    count = whole.groups if whole.groups > 1 else 0
    sizes = [channels // max(count, 1) for channels in (whole.in_channels, whole.out_channels)]
    options = {"stride": whole.stride, "padding": whole.padding, "dilation": whole.dilation, "device": "meta"}
    for number in range(count):
        seen, given = (slice(number * size, (number + 1) * size) for size in sizes)
        part = type(whole)(*sizes, whole.kernel_size, **options)
        calls = [NumpyCall([call.inputs[0][:, seen]], call.output[:, given]) for call in layer.calls]
        rows = dict.fromkeys(layer.tensors, (given.start, given.stop))
        yield TorchLayer(f"{layer.name}.{number}", part, layer.tensors, calls, rows=rows, whole=layer)


def _part(layer: TorchLayer, name: str, rows: Rows) -> TorchLayer:
    whole: Any = layer.module
    units = rows_of(np.arange(whole.out_features), rows)
    dense = torch.nn.Linear(whole.in_features, len(units), device="meta")
    calls = [NumpyCall(call.inputs, call.output[..., units]) for call in layer.calls]
    return TorchLayer(
        f"{layer.name}.{name}", dense, layer.tensors, calls, rows=dict.fromkeys(layer.tensors, rows), whole=layer
    )
