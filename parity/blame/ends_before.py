"""Modules of Flax's that end before PyTorch's: the model around them computes the rest, as a norm's activation."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from parity.arrays.key import Record
from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.other_bounds import NEAR, is_right_without
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer
from parity.layers.received import Received, gap_of
from parity.result import Blame
from parity.twin.twin import Twin

Kind = tuple[type, type, str]


def without_shorter(guilty: Sequence[Blame], twin: Twin, isolated: Isolated, oracle: Record) -> list[Blame]:
    """Returns the blame without layers whose results PyTorch's and Flax's next layers are given all the same.

    Behind a mistake they are given others: there, layers of the same kinds and the same cause are left out as well,
    where all is right once the layers that are left are.
    oracle: PyTorch's record of the first step
    """
    blamed = [(blame, _layers(blame, isolated.layers)) for blame in guilty]
    proven = [bool(layers) and all(_is_handed_on(each, isolated.received) for each in layers) for _, layers in blamed]
    kinds = {_kind(blame, layers[0]) for (blame, layers), right in zip(blamed, proven, strict=True) if right}
    unproven = [item for item, right in zip(blamed, proven, strict=True) if not right]
    others = [(blame, layers) for blame, layers in unproven if not layers or _kind(blame, layers[0]) not in kinds]
    if 0 < len(others) < len(unproven):
        wrong = {layer.label for _, layers in others for layer in layers}
        with suppress(*UNFIT):
            if is_right_without(twin, isolated.layers, wrong, oracle):
                return [blame for blame, _ in others]
    return [blame for blame, _ in unproven]


def _layers(blame: Blame, layers: Sequence[Layer]) -> list[Layer]:
    """Returns the calls of the module that is blamed, or a part of which is."""
    if blame.direction != "forward":
        return []
    names = {x.theirs.name for x in layers if f"{blame.layer}.".startswith(f"{x.theirs.name}.") and x.theirs.name}
    name = max(names, key=len, default=None)
    return [layer for layer in layers if layer.theirs.name == name]


def _kind(blame: Blame, layer: Layer) -> Kind:
    return type(layer.theirs.module), type(layer.ours.module), blame.cause


def _is_handed_on(layer: Layer, received: Sequence[Received]) -> bool:
    """Tells whether some layer is given what PyTorch's puts out, and the same in Flax, whose own result is another."""
    outputs = [to_numpy(x) for _, x in named_leaves(layer.theirs.output, "output")]
    return bool(outputs) and all(any(_is_given(output, each) for each in received) for output in outputs)


def _is_given(output: np.ndarray, received: Received) -> bool:
    same = received.torch.size == output.size and np.array_equal(received.torch.ravel(), output.ravel())
    return same and gap_of(received.torch, received.flax) <= NEAR
