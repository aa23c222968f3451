"""Calls that are not compared: why, and whether their results are of another kind."""

import math
from typing import Any

from d2l_jax.errors import in_a_line
from parity.arrays.layout import named_leaves
from parity.layers.calls import Values
from parity.layers.isolated import Isolated, Unfit
from parity.layers.layer import Layer
from parity.layers.nearest import is_part
from parity.layers.ports import Mismatch


def leave_out(found: Isolated, layer: Layer, problem: Exception, values: Values | None) -> None:
    """Notes why a layer is not compared: its calls differ, or it needs what its parent does around it.

    values: of Flax's call; a result that is a part of PyTorch's, or has heads as an axis, is right, and no misfit
    """
    if not isinstance(problem, Mismatch):
        found.skipped[layer.label] = f"it does not run on its own: {in_a_line(problem)}"
        return
    found.skipped[layer.label] = str(problem)
    part = values and len(values.outputs) == 1 and is_part(values.outputs[0], layer.theirs.output)
    if problem.results and not part and not _of_other_axes(problem.results, layer.theirs.output):
        found.unfit.append(Unfit(layer.label, layer.theirs, str(problem), problem.results))


def _of_other_axes(results: tuple[tuple[int, ...], ...], output: Any) -> bool:
    """Tells whether results of another number of axes hold as many numbers as PyTorch's."""
    theirs = [tuple(x.shape) for _, x in named_leaves(output, "output")]
    pairs = list(zip(results, theirs))
    equal = len(results) == len(theirs) and all(math.prod(x) == math.prod(y) for x, y in pairs)
    return equal and any(len(x) != len(y) for x, y in pairs)
