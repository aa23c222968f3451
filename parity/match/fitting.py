"""The leaves for a layer of PyTorch's and one of Flax's, if they have the same tensors."""

import itertools
import math
import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import torch

from d2l_jax.weights.leaf import Leaf
from parity.match.attention import attention_leaves
from parity.match.flax_layers import ATTENTION, CELLS, NORMS, RECURRENT, FlaxLayer, Variable
from parity.match.handing import STOCK
from parity.match.kernels import ways
from parity.match.recurrent import GATES, foreign_biases, kind_of, kind_within, sources
from parity.match.torch_layers import TorchLayer

NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "embedding": "weight",
    "negative_slope": "weight",
    "mean": "running_mean",
    "var": "running_var",
}
WORDS = re.compile(r"[\W_]+")
KINDS = ("w", "b", "weight", "bias", "kernel", "")  # of a tensor, whatever its layer is for
LIMIT = 24  # alternatives of one pair of layers


@dataclass(frozen=True)
class Fit:
    """A layer of PyTorch's whose tensors fit one of Flax's.

    alternatives: maps of the tensors of two layers, the likeliest first
    missing:      how many tensors of either side they leave out
    """

    layer: TorchLayer
    alternatives: list[list[Leaf]]
    missing: int


def fit(layer: TorchLayer, arrays: dict[str, np.ndarray], flax: FlaxLayer) -> Fit | None:
    """The ways to pair the tensors of two layers; None if their largest tensors differ."""
    shapes = layer.shapes(arrays)
    sizes = [math.prod(shape) for shape in shapes.values()]
    if not flax.whole and max(sizes) != max(math.prod(variable.shape) for variable in flax.variables):
        return None
    needed = [name for name, key in layer.tensors.items() if not counter(arrays[key])]
    recurrent = _recurrent_kind(layer)
    if recurrent and issubclass(flax.kind, STOCK):
        return None  # one dense layer of several
    if issubclass(flax.kind, NORMS) and holds_layers(layer.module):
        return None  # scales of a block's branches
    if recurrent:
        stock = issubclass(flax.kind, (*RECURRENT, *CELLS))
        find = _recurrent if stock else _own_recurrent
        alternatives = find(layer, recurrent, shapes, flax)
    elif isinstance(layer.module, torch.nn.MultiheadAttention):
        alternatives = [attention_leaves(layer, shapes, flax)] if issubclass(flax.kind, ATTENTION) else []
    elif flax.whole:
        return None
    else:
        alternatives = _plain(layer, shapes, flax)
    alternatives = [leaves for leaves in alternatives if leaves]
    if not alternatives:
        return None
    largest = max(flax.variables, key=lambda variable: math.prod(variable.shape))
    if not any(leaf.path == largest.path for leaf in alternatives[0]):
        return None
    taken = {leaf.path for leaf in alternatives[0]}
    if any(len(variable.shape) > 1 for variable in flax.variables if variable.path not in taken):
        return None  # with a further matrix it is a module with parameters of its own
    keys = {key for leaf in alternatives[0] for key in (leaf.key, *leaf.merged)}
    missing = len(flax.variables) - len(alternatives[0]) + sum(layer.tensors[name] not in keys for name in needed)
    return Fit(layer, alternatives, missing)


def _recurrent_kind(layer: TorchLayer) -> str | None:
    """Names the kind of a recurrent layer that has both of its weights; of the one within a module around it."""
    if not {"weight_ih", "weight_hh"} <= {*layer.tensors}:
        return None
    return kind_within(layer.module) if layer.holds else kind_of(layer.module)


def holds_layers(module: torch.nn.Module) -> bool:
    """Tells whether some module within has parameters of its own, its parametrizations aside."""
    children = (child for name, child in module.named_children() if name != "parametrizations")
    return any(True for child in children for _ in child.parameters())


def counter(array: np.ndarray) -> bool:
    """Tells num_batches_tracked and its like."""
    return array.ndim == 0 and np.issubdtype(array.dtype, np.integer)


def alike(left: Any, right: Any) -> float:
    """The likeness of two names, from 0 to 1."""
    return SequenceMatcher(None, str(left).lower(), str(right).lower()).ratio()


def abbreviated(left: str, right: str) -> bool:
    """Tells whether a single letter in one of two names stands for a word of the other, as in linear_k and key_w."""
    words = [[word for word in WORDS.split(name.lower()) if word not in KINDS] for name in (left, right)]
    return any(
        len(short) == 1 and short.isalpha() and any(word.startswith(short) for word in others)
        for shorts, others in (words, words[::-1])
        for short in shorts
    )


def same_words(left: str, right: str) -> bool:
    """Tells whether two names are the same, a word's first letter standing for it, as in q_global and query_global."""
    words = [name.lower().split("_") for name in (left, right)]
    if len(words[0]) != len(words[1]):
        return False
    pairs = (sorted(pair, key=len) for pair in zip(*words, strict=True))
    return all(a == b or len(a) == 1 and a.isalpha() and b.startswith(a) for a, b in pairs)


def _own_recurrent(layer: TorchLayer, kind: str, shapes: dict, flax: FlaxLayer) -> list[list[Leaf]]:
    """A recurrence of the user's own, with all gates in one matrix, and one bias or both."""
    if sum(len(variable.shape) == 1 for variable in flax.variables) != 1 or kind == "GRU" or "bias_hh" not in shapes:
        return sorted(_plain(layer, shapes, flax), key=foreign_biases)
    alternatives = _plain(layer, {name: shape for name, shape in shapes.items() if name != "bias_hh"}, flax)
    first = layer.tensors["bias_ih"]
    second = layer.tensors["bias_hh"]

    def with_second(leaf: Leaf) -> Leaf:
        return replace(leaf, merged=(second,)) if leaf.key == first else leaf

    return [[with_second(leaf) for leaf in leaves] for leaves in alternatives]


def _recurrent(layer: TorchLayer, kind: str, shapes: dict, flax: FlaxLayer) -> list[list[Leaf]]:
    names = [(str(variable.local[-2:][0]), str(variable.local[-1])) for variable in flax.variables]
    tensors = sources(kind, shapes["weight_hh"][0] // max(1, len(GATES[kind])), names)
    leaves = []
    for variable, (parts, rows) in zip(flax.variables, tensors or ()):
        if not all(name in shapes for name in parts):
            continue
        shape = (rows[1] - rows[0], *shapes[parts[0]][1:]) if rows else shapes[parts[0]]
        axes = (1, 0) if len(shape) == 2 else (0,)
        if len(variable.shape) != len(shape) or tuple(variable.shape[axis] for axis in axes) != shape:
            return []
        key, *merged = (layer.tensors[name] for name in parts)
        common = (variable.path, variable.trained, variable.dtype, variable.shape, variable.shape, axes, shape)
        leaves.append(Leaf(key, *common, rows=rows, merged=tuple(merged)))
    return [leaves]


def _plain(layer: TorchLayer, shapes: dict, flax: FlaxLayer) -> list[list[Leaf]]:
    """Pairs tensors by the usual names where both sides have them, the rest by shape."""
    named = []
    rest = []
    left = dict(shapes)
    for variable in flax.variables:
        name = NAMES.get(str(variable.local[-1]), str(variable.local[-1]))
        leaves = _ways(layer, name, left[name], variable, flax) if name in left else []
        if leaves:
            del left[name]
            named.append(leaves)
        else:
            rest.append(variable)
    assigned = [named]
    if rest and left:
        size = min(len(rest), len(left))
        assigned = []
        for names in _assignments(list(left), rest, size):
            by_shape = [_ways(layer, name, left[name], variable, flax) for name, variable in zip(names, rest)]
            assigned.append([*named, *filter(None, by_shape)])
        assigned.sort(key=len, reverse=True)
        assigned = [leaves for leaves in assigned if len(leaves) == len(assigned[0])]
    products = (itertools.product(*leaves) for leaves in assigned)
    return [list(leaves) for leaves in itertools.islice(itertools.chain.from_iterable(products), LIMIT)]


def _assignments(names: list[str], variables: list[Variable], size: int) -> list[tuple[str, ...]]:
    orders = list(itertools.islice(itertools.permutations(names, size), 20 * LIMIT))
    return sorted(
        orders, key=lambda names: -sum(alike(n, "_".join(map(str, o.local))) for n, o in zip(names, variables))
    )[:LIMIT]


def _ways(layer: TorchLayer, name: str, shape: tuple[int, ...], variable: Variable, flax: FlaxLayer) -> list[Leaf]:
    return ways(layer.tensors[name], shape, variable, layer.module, flax.module, rows=layer.rows.get(name))
