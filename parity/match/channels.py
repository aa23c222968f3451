"""Normalisations of PyTorch's of single channels, as what a Flax model may have in their place: one for some of them.

Each channel has its own mean, variance, scale and shift, so that any part of them is a normalisation by itself.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules.batchnorm import _NormBase

from d2l_jax.weights.leaf import Rows
from parity.match.fitting import counter
from parity.match.flax_layers import Variables
from parity.match.fused import sizes_of_both
from parity.match.sums import spans
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer


def layers_of_channels(recorded: Recorded, variables: Variables) -> Iterator[TorchLayer]:
    """Yields normalisations of some channels, where Flax lacks vectors of all of them; a part's buffers are its own."""
    ours, theirs = sizes_of_both(recorded, variables, lambda rank: rank == 1)
    for layer in recorded.layers:
        module: Any = layer.module
        lacking = theirs[module.num_features] - ours[module.num_features] if isinstance(module, _NormBase) else 0
        if lacking > 0:
            widths = {width: count // lacking for width, count in (ours - theirs).items()}
            yield from (_part(layer, rows, recorded) for rows in spans(module.num_features, widths))


def _part(layer: TorchLayer, rows: Rows, recorded: Recorded) -> TorchLayer:
    whole: Any = layer.module
    first, end, *_ = rows
    vectors = [name for name, key in layer.tensors.items() if not counter(recorded.arrays[key])]  # counts have no rows
    with torch.device("meta"):
        part = type(whole)(end - first, whole.eps, whole.momentum, whole.affine, whole.track_running_stats)
    calls = [NumpyCall([call.inputs[0][:, first:end]], call.output[:, first:end]) for call in layer.calls]
    name = f"{layer.name}.{first} to {end}"
    return TorchLayer(name, part, layer.tensors, calls, rows=dict.fromkeys(vectors, rows), whole=layer)
