"""Layers that end or begin elsewhere in Flax: with a residual inside, or a transposition outside.

Where the whole models agree in every tensor, a result that the loss depends on and that is far from Flax's says that
the two calls do not hold the same part of the model, and nothing against either model.
"""

from collections.abc import Iterable

import numpy as np

from parity.arrays.key import Key
from parity.arrays.torch_arrays import to_numpy
from parity.compare.rows import Row
from parity.compare.scale import rms
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer

FAR = 1e-3  # of a result's size: what the loss depends on cannot differ by as much in models that agree in float64
OTHER_BOUNDS = "it ends or begins elsewhere in Flax: other numbers on its own, while the models agree in every tensor"


def without_other_bounds(alone: Isolated) -> Isolated:
    """Returns the findings of models that agree, without the layers that are drawn otherwise on the two sides."""
    failing: dict[str, list[Row]] = {}
    for row in alone.rows:
        if not row.passed:
            failing.setdefault(row.key.layer, []).append(row)
    others = {each.label for each in alone.layers if _is_drawn_otherwise(each, failing.get(each.label, ()))}
    return alone.without(others, OTHER_BOUNDS) if others else alone


def _is_drawn_otherwise(layer: Layer, failing: Iterable[Row]) -> bool:
    """Tells whether results differ, and all that do differ far where the loss depends on them."""
    results = [row.key for row in failing if row.key.phase == "forward"]
    return bool(results) and all(_is_far_in_the_loss(layer, key) for key in results)


def _is_far_in_the_loss(layer: Layer, key: Key) -> bool:
    theirs, ours = layer.oracle[key], layer.flax.get(key)
    cotangent = layer.theirs.cotangents.get(key.tensor)
    if ours is None or cotangent is None or not ours.shape == theirs.shape == tuple(cotangent.shape):
        return False
    slope = np.abs(to_numpy(cotangent))
    far = np.abs(ours - theirs) > FAR * rms(theirs)
    return bool(np.any(far & (slope > FAR * np.max(slope, initial=0.0))))
