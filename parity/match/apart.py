"""Arrays of Flax's without a counterpart that hold several tensors of PyTorch's: three projections, two gates."""

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from parity.match.fitting import alike
from parity.match.flax_layers import Variable
from parity.match.kernels import ways
from parity.match.torch_layers import Recorded
from parity.models.calls import Path
from parity.models.cut import Cuts

Shape = tuple[int, ...]
Tensor = tuple[Shape, int | None]  # and what tells the input of its layer from others
Parts = tuple[tuple[int, str], ...]  # of each, how wide it is, and which tensor


def cuts(variables: Iterable[Variable], recorded: Recorded, sure: Collection[str]) -> Cuts:
    """Returns how arrays may be cut into tensors that follow each other, the largest arrays first.

    variables: of Flax's, those without a counterpart
    sure:      tensors of PyTorch's that have one
    """
    given = _given(recorded)
    left = {key: (x.shape, given.get(key)) for key, x in recorded.arrays.items() if key not in sure}
    found: dict[Path, tuple[int, Parts]] = {}
    owners: dict[Path, set[str]] = {}
    for variable in sorted((v for v in variables if v.trained and v.shape), key=lambda v: -v.size):
        beside = owners.get(variable.path[:-1], set())
        ways_to_cut = list(_ways(variable, left, beside))
        if not ways_to_cut:
            continue
        axis, parts = max(ways_to_cut, key=lambda way: (_usual(variable, *way), _likeness(variable, way[1])))
        found[variable.path] = axis, parts
        owners.setdefault(variable.path[:-1], set()).update(_owner(key) for _, key in parts)
        left = {key: tensor for key, tensor in left.items() if all(key != own for _, own in parts)}
    return found


def _given(recorded: Recorded) -> dict[str, int]:
    """Returns of layers' tensors what tells the input of the layer's first call from others."""
    first = [(layer, layer.calls[0].inputs[0]) for layer in recorded.layers if layer.calls and layer.calls[0].inputs]
    return {key: hash((x.shape, x.tobytes())) for layer, x in first for key in layer.tensors.values()}


def _ways(variable: Variable, left: Mapping[str, Tensor], beside: Collection[str]) -> Iterator[tuple[int, Parts]]:
    """Yields (axis, parts) where tensors that follow each other, of layers with one input, make up the array.

    beside: the layers that the parts of an array of the same layer of Flax's are of, a bias being theirs, too
    """
    keys = [key for key, (shape, _) in left.items() if _owner(key) in beside or not beside and len(shape) > 1]
    for axis in range(len(variable.shape)):
        unit = variable.size // variable.shape[axis]
        for start in range(len(keys)):
            parts: list[tuple[int, str]] = []
            for key in keys[start:]:
                shape, given = left[key]
                width, rest = divmod(math.prod(shape), unit)
                if rest or not width or given != left[keys[start]][1] or not _fits(variable, axis, width, key, shape):
                    break
                parts.append((width, key))
                total = sum(n for n, _ in parts)
                if total >= variable.shape[axis]:
                    if total == variable.shape[axis] and len(parts) > 1:
                        yield axis, tuple(parts)
                    break


def _fits(variable: Variable, axis: int, width: int, key: str, shape: Shape) -> bool:
    part = (*variable.shape[:axis], width, *variable.shape[axis + 1 :])
    return bool(ways(key, shape, replace(variable, shape=part), None))


def _owner(key: str) -> str:
    return key.rpartition(".")[0]


def _usual(variable: Variable, axis: int, parts: Parts) -> bool:
    """Tells whether an axis counts the parts, or else is that of a dense kernel's outputs."""
    if all(width == 1 for width, _ in parts):
        return True
    return len(variable.shape) < 3 and axis == len(variable.shape) - 1


def _likeness(variable: Variable, parts: Parts) -> float:
    """Returns how well the names agree, and that of layers: the tensors of one are nearer than those of several."""
    path = ".".join(map(str, variable.path))
    keys = [key for _, key in parts]
    return len(os.path.commonprefix(keys)) + alike(path, keys[0])
