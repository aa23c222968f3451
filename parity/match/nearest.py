"""How arrays are likeliest cut where the two models differ: into the tensors of PyTorch's whose slopes are nearest.

All numbers that are not known are one and the same in both models, so that it does not matter which is which. A mistake
moves the slopes, but mostly those of a gate's rows less than another gate's are away.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from d2l_jax.weights.leaf import Shape
from parity.match.apart import owner
from parity.match.exchanged import MUCH, gap
from parity.match.flax_layers import Variable
from parity.match.kernels import ways
from parity.models.calls import Path
from parity.models.cutting import Cuts, Cutting, Piece

BLOCKS = 8  # of the rows of tensors, that may stand in another order
MOST, SETS = 5000, 64  # sets of tensors that are looked at, and that are tried for an array


@dataclass(frozen=True)
class Sloped:
    """A tensor or an array, and its slopes: (rounds, *shape)."""

    slopes: Float[np.ndarray, "rounds ..."]
    module: Any = None  # PyTorch's

    @property
    def shape(self) -> Shape:
        """Returns the tensor's shape."""
        return self.slopes.shape[1:]


def nearest_cuts(variables: Mapping[Path, tuple[Variable, Sloped]], tensors: Mapping[str, Sloped]) -> Cuts:
    """Returns the cuts under which slopes are nearest, of the arrays that can be cut; the largest arrays choose first.

    variables: Flax's arrays that are not known
    tensors:   PyTorch's, by their keys
    """
    left, found = dict(tensors), {}
    owners: dict[Path, set[str]] = {}
    for path, (variable, sloped) in sorted(variables.items(), key=lambda item: -item[1][0].size):
        beside = owners.get(path[:-1], set())
        allowed = {key: x for key, x in left.items() if not beside or owner(key) in beside}
        cuttings = list(_cuttings(variable, sloped, allowed))
        if cuttings:
            _, found[path] = min(cuttings, key=lambda item: item[0])
            taken = {piece.key for piece in found[path].pieces}
            owners.setdefault(path[:-1], set()).update(map(owner, taken))
            left = {key: x for key, x in left.items() if key not in taken}
    return found


def _cuttings(variable: Variable, ours: Sloped, left: Mapping[str, Sloped]) -> Iterator[tuple[float, Cutting]]:
    """Yields ways to cut an array into tensors, and how far their slopes are from its own."""
    for axis, length in enumerate(variable.shape):
        unit = variable.size // length
        widths = {key: math.prod(x.shape) // unit for key, x in left.items() if not math.prod(x.shape) % unit}
        for keys in itertools.islice(_sets(widths, length), SETS):
            yield from _arranged(variable, axis, ours, {key: left[key] for key in keys}, widths)


def _sets(widths: Mapping[str, int], length: int) -> Iterator[Sequence[str]]:
    """Yields the sets of two or more tensors that are as long together."""
    keys = [key for key, width in widths.items() if 0 < width < length]
    sets = itertools.chain.from_iterable(itertools.combinations(keys, count) for count in range(2, len(keys) + 1))
    return (found for found in itertools.islice(sets, MOST) if sum(widths[key] for key in found) == length)


def _arranged(
    variable: Variable, axis: int, ours: Sloped, tensors: Mapping[str, Sloped], widths: Mapping[str, int]
) -> Iterator[tuple[float, Cutting]]:
    """Yields the order in which parts of one width are nearest, if there is one."""
    lengths = [widths[key] for key in tensors]
    by_rows = all(x.shape[0] == widths[key] for key, x in tensors.items())
    unit = math.gcd(*lengths) if by_rows else max(lengths)
    places = range(0, sum(lengths), unit)
    if any(length % unit for length in lengths) or by_rows and (unit < 2 or len(places) > BLOCKS):
        return
    parts = [(key, first) for key in tensors for first in range(0, widths[key], unit)]
    taken = [np.take(ours.slopes, range(place, place + unit), axis + 1) for place in places]
    gaps = np.array(
        [[_gap(variable, tensors[key], key, first, unit, by_rows, x) for x in taken] for key, first in parts]
    )
    if not np.isfinite(gaps).all():
        return
    chosen, order = linear_sum_assignment(gaps - MUCH * np.eye(len(parts)))  # as they stand, but for good reason
    pieces = [parts[part] for part in np.argsort(order)]
    yield float(gaps[chosen, order].mean()), Cutting(axis, tuple(_pieces(pieces, unit, widths, by_rows)))


def _gap(
    variable: Variable, theirs: Sloped, key: str, first: int, unit: int, by_rows: bool, ours: Float[np.ndarray, "..."]
) -> float:
    """Returns how far the slopes of a part are from those of rows of a tensor; infinite where no layout fits."""
    own = theirs.slopes[:, first : first + unit] if by_rows else theirs.slopes
    part = replace(variable, shape=ours.shape[1:])
    laid = (np.stack([leaf.to_torch(x) for x in ours]) for leaf in ways(key, own.shape[1:], part, theirs.module))
    return min((gap(own, x) for x in laid), default=np.inf)


def _pieces(parts: Sequence[tuple[str, int]], unit: int, widths: Mapping[str, int], by_rows: bool) -> Iterator[Piece]:
    """Yields the parts, those that follow each other on both sides as one."""
    runs: list[list[tuple[str, int]]] = []
    for key, first in parts:
        follows = runs and runs[-1][-1] == (key, first - unit)
        runs[-1].append((key, first)) if follows else runs.append([(key, first)])
    for run in runs:
        (key, first), width = run[0], unit * len(run)
        yield Piece(width, key, (first, first + width) if by_rows and width < widths[key] else None)
