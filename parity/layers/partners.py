"""Which calls of the two models are one: by name and count, but for dropout that one of them alone calls."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from flax import linen, nnx

from parity.layers.calls import FlaxCall
from parity.models.calls import Path, TorchCall
from parity.models.random_numbers import nothing_dropped
from parity.twin.twin import Twin

DROPOUT = nnx.Dropout, linen.Dropout, torch.nn.modules.dropout._DropoutNd


def calls_of_both(
    twin: Twin, theirs: Sequence[TorchCall], ours: Sequence[FlaxCall], names: Mapping[str, Path], train: bool
) -> list[tuple[TorchCall, FlaxCall]]:
    """Returns PyTorch's calls, each with Flax's of the same submodule.

    names: {PyTorch's submodule: Flax's path}
    """
    batch = twin.batches[0]
    flax = _numbered([(call, call.path) for call in ours], batch.numbers(train))
    pytorch = _numbered([(call, call.name) for call in theirs], twin.torch_numbers(batch, train))
    keys = {(name, number): (names[name], number) for name, number in pytorch if name in names}
    return [(pytorch[key], flax[key_in_flax]) for key, key_in_flax in keys.items() if key_in_flax in flax]


def _numbered(calls: Sequence[tuple[Any, Hashable]], numbers: Sequence[np.ndarray]) -> dict[tuple[Any, int], Any]:
    """Returns the calls by name and number; dropout that is left out counts for none."""
    counts: Counter[Hashable] = Counter()
    found = {}
    for call, name in calls:
        if not _is_left_out(call, numbers):
            found[name, counts[name]] = call
            counts[name] += 1
    return found


def _is_left_out(call: TorchCall | FlaxCall, numbers: Sequence[np.ndarray]) -> bool:
    drawn = numbers[slice(*call.span)]
    return isinstance(call.module, DROPOUT) and bool(drawn) and all(map(nothing_dropped, drawn))
