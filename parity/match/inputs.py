"""Layers that are several of Flax's along their inputs, whose results it adds: one of x and h together, two in Flax."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from d2l_jax.weights.leaf import Leaf, Rows
from parity.match.apart import NUMBER
from parity.match.books import Books
from parity.match.fitting import alike
from parity.match.flax_layers import Variable, Variables
from parity.match.joined import LAYERS
from parity.match.kernels import ways
from parity.match.sums import spans
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer
from parity.models.calls import Path

PARTS = 4  # of one weight
MOST = 300  # sets of kernels that are tried for one
FIRST = ("x", "i2h", "input")  # what stands before a state, whatever it is called
Parts = tuple[Variable, ...]
Order = tuple[int, ...]


def layers_of_inputs(recorded: Recorded, variables: Variables) -> Iterator[TorchLayer]:
    """Yields the layers of some of the inputs, where Flax lacks kernels of the whole size; one alone adds the bias."""
    ours = Counter(variable.size for variable in variables.all.values() if len(variable.shape) > 1)
    theirs = Counter(array.size for array in recorded.arrays.values() if array.ndim > 1)
    for layer, weight in _weights(recorded):
        unit = weight.size // weight.shape[1]
        if not layer.calls or ours[weight.size] >= theirs[weight.size]:
            continue
        alone = {size // unit: count for size, count in (ours - theirs).items() if not size % unit}
        for first, end in spans(weight.shape[1], alone):
            if {first, end} <= _edges(layer, weight.shape[1]):
                for names in (["weight"], [*layer.tensors]) if "bias" in layer.tensors else (["weight"],):
                    yield _part(layer, (first, end, weight.shape[1], 1), names, recorded)


def weights_by_inputs(books: Books, variant: int) -> int:
    """Pairs weights whose inputs are those of several kernels that are left; returns the rest of `variant`.

    In which order is told where PyTorch puts parts of other widths together; else one `variant` after the other.
    """
    layers = {layer.tensors["weight"]: layer for layer, _ in _weights(books.recorded)}
    kinds: dict[tuple[str, ...], dict[str, Parts]] = {}
    for key, parts in _dealt_out(books, layers).items():
        kinds.setdefault(tuple(str(_place(part)[-1]) for part in parts), {})[key] = parts
    for names, weights in kinds.items():
        orders = sorted(itertools.permutations(range(len(names))), key=lambda order: -_likeness(names[order[0]]))
        ways_to_stand = [
            {key: [parts[number] for number in order] for key, parts in weights.items()} for order in orders
        ]
        told = [way for way in ways_to_stand if all(_is_told(books, layers[key], parts) for key, parts in way.items())]
        variant, choice = divmod(variant, len(told or orders))
        for key, parts in (told or ways_to_stand)[choice].items():
            for leaf in _leaves(books, layers[key], parts):
                books.add(leaf)
    return variant


def _weights(recorded: Recorded) -> Iterator[tuple[TorchLayer, np.ndarray]]:
    """Yields the layers that add up what they make of each input, and their weights."""
    for layer in recorded.layers:
        weight = recorded.arrays.get(layer.tensors.get("weight", ""))
        plain = isinstance(layer.module, LAYERS) and getattr(layer.module, "groups", 1) == 1
        if weight is not None and plain and layer.whole is None:
            yield layer, weight


def _dealt_out(books: Books, layers: Mapping[str, TorchLayer]) -> dict[str, Parts]:
    """Returns the kernels that make up each weight: of one module, and those with the likeliest names."""
    left = [v for v in books.unpaired_variables() if v.trained and v.path not in books.variables.pieces]
    around: dict[Path, list[Variable]] = {}
    for variable in left:
        around.setdefault(_place(variable)[:-1], []).append(variable)
    found: dict[str, Parts] = {}
    for key in (key for key in books.unpaired() if key in layers and key not in books.variables.promised):
        taken = {part.path for parts in found.values() for part in parts}
        free = ([v for v in each if v.path not in taken] for each in around.values())
        sets = [parts for each in free for parts in _sets(books, layers[key], each)]
        if sets:
            found[key] = max(sets, key=lambda parts: sum(_agreement(key, part) for part in parts))
    return found


def _agreement(key: str, part: Variable) -> float:
    name = ".".join(map(str, part.path))
    return alike(key, name) + (NUMBER.findall(key) == NUMBER.findall(name))


def _sets(books: Books, layer: TorchLayer, variables: Sequence[Variable]) -> Iterator[Parts]:
    """Yields the kernels that have as many inputs together as a layer."""
    shape = books.recorded.arrays[layer.tensors["weight"]].shape
    unit = math.prod(shape) // shape[1]
    kernels = [v for v in variables if len(v.shape) > 1 and not v.size % unit and v.size < math.prod(shape)]
    several = (itertools.combinations(kernels, count) for count in range(2, PARTS + 1))
    for parts in itertools.islice(itertools.chain.from_iterable(several), MOST):
        if sum(v.size for v in parts) == math.prod(shape) and len(_leaves(books, layer, parts)) == len(parts):
            yield parts


def _leaves(books: Books, layer: TorchLayer, parts: Sequence[Variable]) -> list[Leaf]:
    """Returns the leaves of kernels that have the inputs of a layer one behind the other."""
    key = layer.tensors["weight"]
    outputs, length, *window = books.recorded.arrays[key].shape
    leaves, end = [], 0
    for part in parts:
        first, end = end, end + part.size // math.prod([outputs, *window])
        shape = (outputs, end - first, *window)
        leaves += ways(key, shape, part, layer.module, rows=(first, end, length, 1))[:1]
    return leaves


def _is_told(books: Books, layer: TorchLayer, parts: Sequence[Variable]) -> bool:
    length = books.recorded.arrays[layer.tensors["weight"]].shape[1]
    return all(
        {leaf.rows[0], leaf.rows[1]} <= _edges(layer, length) for leaf in _leaves(books, layer, parts) if leaf.rows
    )


def _edges(layer: TorchLayer, length: int) -> set[int]:
    """Returns where a part of a layer's inputs may begin and end: anywhere, where no parts are seen."""
    seen = {0, *itertools.accumulate(layer.joined)}
    return seen if max(seen) == length else {*range(length + 1)}


def _likeness(name: str) -> float:
    return max(alike(name, first) for first in FIRST)


def _place(variable: Variable) -> Path:
    return variable.path[:-1] if variable.path[-1] == "kernel" else variable.path


def _part(layer: TorchLayer, rows: Rows, names: Sequence[str], recorded: Recorded) -> TorchLayer:
    """Returns the layer of some inputs, and what it would put out by itself; with the bias, if that is named."""
    whole: Any = layer.module
    first, end = rows[:2]
    weight = torch.from_numpy(recorded.arrays[layer.tensors["weight"]][:, first:end])
    tensors = {name: layer.tensors[name] for name in names}
    bias = torch.from_numpy(recorded.arrays[tensors["bias"]]) if "bias" in tensors else None
    axis = -1 if isinstance(whole, torch.nn.Linear) else 1
    calls = []
    for call in layer.calls:
        x = call.inputs[0].take(range(first, end), axis)
        y = _applied(whole, torch.from_numpy(x), weight, bias)
        calls.append(NumpyCall([x], y.numpy()))
    name = f"{layer.name}.inputs {first} to {end}"
    return TorchLayer(name, whole, tensors, calls, rows={"weight": rows}, whole=layer)


@torch.no_grad()
def _applied(module: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if isinstance(module, torch.nn.Linear):
        return torch.nn.functional.linear(x, weight, bias)
    return module._conv_forward(x, weight, bias)
