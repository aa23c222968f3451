"""Arrays of Flax's without a counterpart that hold several tensors of PyTorch's: three projections, two gates."""

import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from parity.match.fitting import alike
from parity.match.flax_layers import Variable
from parity.match.kernels import ways
from parity.match.torch_layers import Recorded
from parity.models.calls import Path
from parity.models.cutting import Cuts, Cutting, Piece

NUMBER = re.compile(r"\d+")
Shape = tuple[int, ...]
Tensor = tuple[Shape, int | None, Any]  # and what tells the input of its layer from others, and the layer's module


def cuts(variables: Iterable[Variable], recorded: Recorded, sure: Collection[str]) -> Cuts:
    """Returns how arrays may be cut into tensors that follow each other, the largest arrays first.

    variables: of Flax's, those without a counterpart
    sure:      tensors of PyTorch's that have one
    """
    given = inputs_given(recorded)
    single = _single(recorded)
    modules = {key: layer.module for layer in recorded.layers for key in layer.tensors.values()}
    left = {key: (x.shape, given.get(key), modules.get(key)) for key, x in recorded.arrays.items() if key not in sure}
    found: dict[Path, Cutting] = {}
    owners: dict[Path, set[str]] = {}
    for variable in sorted((v for v in variables if v.trained and v.shape), key=lambda v: -v.size):
        beside = owners.get(variable.path[:-1], set())
        ways_to_cut = list(_ways(variable, left, beside, single))
        if not ways_to_cut:
            continue
        best = max(ways_to_cut, key=lambda way: _preference(variable, way, left))
        found[variable.path] = best
        taken = {piece.key for piece in best.pieces}
        owners.setdefault(variable.path[:-1], set()).update(map(owner, taken))
        left = {key: tensor for key, tensor in left.items() if key not in taken}
    return found


def inputs_given(recorded: Recorded) -> dict[str, int]:
    """Returns of layers' tensors what tells the input of the layer's first call from others; numbers of rows do not."""
    called = [layer for layer in recorded.layers if layer.calls and layer.calls[0].inputs]
    first = [(layer, layer.calls[0].inputs[0]) for layer in called if not isinstance(layer.module, torch.nn.Embedding)]
    return {key: hash((x.shape, x.tobytes())) for layer, x in first for key in layer.tensors.values()}


def _single(recorded: Recorded) -> set[str]:
    """Returns the parameters that modules of one's own hold themselves, as scales of branches."""
    own = (x for x in recorded.layers if not type(x.module).__module__.startswith("torch.nn."))
    return {key for layer in own for key in layer.tensors.values()}


def _ways(
    variable: Variable, left: Mapping[str, Tensor], beside: Collection[str], single: Collection[str]
) -> Iterator[Cutting]:
    """Yields cuts where tensors of layers with one input, those that follow each other, make up the array.

    beside: the layers that the parts of an array of the same layer of Flax's are of, a bias being theirs, too
    single: see `_single`
    """
    yield from _stacks(variable, left, beside, single)
    yield from _of_inputs(variable, left)
    keys = [key for key, (shape, *_) in left.items() if owner(key) in beside or not beside and len(shape) > 1]
    for axis in range(len(variable.shape)):
        unit = variable.size // variable.shape[axis]
        groups: dict[int | None, list[Piece]] = {}
        for key in keys:
            shape, given, _ = left[key]
            width, rest = divmod(math.prod(shape), unit)
            if width and not rest and _fits(variable, axis, width, key, left[key]):
                groups.setdefault(given, []).append(Piece(width, key))
        for pieces in groups.values():
            yield from (Cutting(axis, parts) for parts in _runs(pieces, variable.shape[axis]))


def _runs(pieces: Sequence[Piece], length: int) -> Iterator[tuple[Piece, ...]]:
    """Yields the runs of two or more pieces that are as long together."""
    for start in range(len(pieces)):
        total = 0
        for end in range(start, len(pieces)):
            total += pieces[end].width
            if total == length and end > start:
                yield tuple(pieces[start : end + 1])


def _stacks(
    variable: Variable, left: Mapping[str, Tensor], beside: Collection[str], single: Collection[str]
) -> Iterator[Cutting]:
    """Yields cuts of an array that counts layers along its first axis, as experts: tensors whose names count them.

    Whatever their layers are given: one is not the other's neighbour, as q is k's.
    """
    count, *shape = variable.shape
    for keys in families(key for key, (own, *_) in left.items() if math.prod(own) == math.prod(shape)).values():
        known = len(left[keys[0]][0]) > 1 or all(owner(key) in beside or key in single for key in keys)
        if len(keys) == count > 1 and known and all(_fits(variable, 0, 1, key, left[key]) for key in keys):
            yield Cutting(0, tuple(Piece(1, key) for key in keys))


def _of_inputs(variable: Variable, left: Mapping[str, Tensor]) -> Iterator[Cutting]:
    """Yields cuts of a kernel along its inputs, where layers of other inputs in one module have as many outputs."""
    *window, inputs, outputs = variable.shape if len(variable.shape) > 1 else (0, 0)
    modules: dict[str, list[str]] = {}
    for key, (shape, *_) in left.items():
        if shape[:1] == (outputs,) and len(shape) > 1 and [*shape[2:]] == window:
            modules.setdefault(owner(owner(key)), []).append(key)
    for keys in modules.values():
        pieces = [Piece(left[key][0][1], key) for key in keys]
        for parts in _runs(pieces, inputs):
            if len({left[piece.key][1] for piece in parts}) > 1:
                yield Cutting(len(window), parts)


def _fits(variable: Variable, axis: int, width: int, key: str, tensor: Tensor) -> bool:
    shape, _, module = tensor
    part = (*variable.shape[:axis], width, *variable.shape[axis + 1 :])
    return bool(ways(key, shape, replace(variable, shape=part), module))


def owner(key: str) -> str:
    """Returns the name of the module that holds a tensor."""
    return key.rpartition(".")[0]


def _preference(variable: Variable, way: Cutting, left: Mapping[str, Tensor]) -> tuple[bool, bool, bool, float]:
    """Returns the likelier the more: an axis that one cuts, its name, kernels with the units last, how names agree."""
    shapes = [left[piece.key][0] for piece in way.pieces]
    units_last = all(len(shape) != 2 or variable.shape[-1] % shape[0] == 0 for shape in shapes)
    return _usual(variable, way), _is_namesake(variable, way), units_last, _likeness(variable, way)


def families(keys: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names that differ in one of their numbers alone, by what they have in common."""
    found: dict[str, list[str]] = {}
    for key in keys:
        for number in NUMBER.finditer(key):
            found.setdefault(f"{key[: number.start()]}#{key[number.end() :]}", []).append(key)
    return found


def _usual(variable: Variable, way: Cutting) -> bool:
    """Tells whether an axis counts the parts, or else is that of a dense kernel's outputs."""
    if all(piece.width == 1 for piece in way.pieces):
        return True
    return len(variable.shape) < 3 and way.axis == len(variable.shape) - 1


def _is_namesake(variable: Variable, way: Cutting) -> bool:
    """Tells whether an array has the name that its tensors have in common: B that of B_re and B_im."""
    names = [piece.key.rpartition(".")[2] for piece in way.pieces]
    return os.path.commonprefix(names).rstrip("_") == str(variable.path[-1])


def _likeness(variable: Variable, way: Cutting) -> float:
    """Returns how well the names agree, and that of layers: the tensors of one are nearer than those of several."""
    path = ".".join(map(str, variable.path))
    keys = [piece.key for piece in way.pieces]
    return len(os.path.commonprefix(keys)) + alike(path, keys[0])
