"""Modules that end or begin elsewhere in Flax: what is around them there makes up for it, and none of it is wrong."""

from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from parity.arrays.key import Record
from parity.arrays.layout import transposed
from parity.blame.diagnosis.calls import UNFIT
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer
from parity.layers.received import first_other, gap_of, received_of, values_without
from parity.result import Blame
from parity.twin.twin import Twin

NEAR = 1e-10  # relative to a tensor's scale, as of what layers are given


def without_blocks_around(guilty: Sequence[Blame], twin: Twin, isolated: Isolated, oracle: Record) -> list[Blame]:
    """Returns the blame without modules around layers, where all is right once the layers that are wrong are.

    oracle: PyTorch's record of the first step
    """
    failing = {row.key.layer for row in isolated.rows if not row.passed and row.key.phase == "forward"}
    names = {layer.theirs.name for layer in isolated.layers if layer.label in failing}
    outer = {name for name in names if any(_is_within(layer.theirs.name, name) for layer in isolated.layers)}
    inner = [layer for layer in isolated.layers if layer.theirs.name not in outer]
    wrong = {layer.label for layer in inner if layer.label in failing}
    others = [blame for blame in guilty if blame.direction != "forward" or _is_of(blame, names - outer, outer)]
    if not wrong or not others or len(others) == len(guilty):
        return list(guilty)
    with suppress(*UNFIT):
        if is_right_without(twin, inner, wrong, oracle):
            return others
    return list(guilty)


def _is_within(name: str, outer: str) -> bool:
    return name.startswith(f"{outer}.")


def _is_of(blame: Blame, inner: Collection[str], outer: Collection[str]) -> bool:
    """Tells whether a blame is of a layer, or else of a part of some module around layers."""
    return blame.layer in inner or not any(f"{blame.layer}.".startswith(f"{name}.") for name in outer)


def is_right_without(twin: Twin, layers: Sequence[Layer], wrong: set[str], oracle: Record) -> bool:
    """Tells whether all layers are given, and the model returns, what they should where the wrong ones are replaced."""
    values = values_without(twin, layers, wrong, True)
    root = values.get(((), 0))
    keys = [key for key in oracle if key.step == 1 and key.phase == "forward" and key.is_output]
    if root is None or len(keys) != len(root.outputs) or first_other(received_of(layers, values)):
        return False
    pairs = [(oracle[key], np.asarray(x), twin.axes.get(key.tensor, ())) for key, x in zip(keys, root.outputs)]
    ours = [(theirs, transposed(x, axes) if x.ndim == len(axes) else x) for theirs, x, axes in pairs]
    return all(theirs.shape == x.shape and gap_of(theirs, x) <= NEAR for theirs, x in ours)
