"""Dense layers of PyTorch's that compute several of Flax's at once: `qkv` of a vision transformer, `kv`, two gates."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from parity.match.flax_layers import Variables
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer

NAMES = {3: ("query", "key", "value"), 2: ("first", "second")}


def fused_layers(recorded: Recorded, variables: Variables) -> Iterator[TorchLayer]:
    """Yields equal parts of dense layers, one below the other, where Flax lacks kernels of the whole size.

    A part that has the input of a layer of Flax's may be its partner; what it computes is known.
    """
    ours = Counter(variable.size for variable in variables.all.values() if len(variable.shape) > 1)
    theirs = Counter(array.size for array in recorded.arrays.values() if array.ndim > 1)
    for layer in recorded.layers:
        weight = recorded.arrays.get(layer.tensors.get("weight", ""))
        if layer.whole or not isinstance(layer.module, torch.nn.Linear) or weight is None:
            continue  # of an attention, or no dense layer
        if ours[weight.size] >= theirs[weight.size]:
            continue
        for count, names in NAMES.items():
            rows, rest = divmod(len(weight), count)
            if not rest and ours[weight.size // count] >= count:
                for number, name in enumerate(names):
                    yield _part(layer, name, (number * rows, (number + 1) * rows))


def _part(layer: TorchLayer, name: str, rows: tuple[int, int]) -> TorchLayer:
    whole: Any = layer.module
    dense = torch.nn.Linear(whole.in_features, rows[1] - rows[0], device="meta")
    calls = [NumpyCall(call.inputs, call.output[..., slice(*rows)]) for call in layer.calls]
    return TorchLayer(
        f"{layer.name}.{name}", dense, layer.tensors, calls, rows=dict.fromkeys(layer.tensors, rows), whole=layer
    )
