"""The map where no module says what a tensor is: by names and shapes, and, between equals, by the step itself."""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.match.fitting import alike, counter
from parity.match.flax_layers import Variable
from parity.match.kernels import ways
from parity.training_step.jax_state import JaxState, Path, dotted
from parity.training_step.roles import Roles

WORDS = {
    "kernel": "weight",
    "w": "weight",
    "scale": "weight",
    "gamma": "weight",
    "embedding": "weight",
    "b": "bias",
    "beta": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
IMPOSSIBLE = 1e3
UNUSUAL = 2.0


def named_map(
    state: JaxState, roles: Roles, model: torch.nn.Module, moved: Container[int], named: Mapping[str, Any]
) -> list[Leaf]:
    """Returns the likeliest map.

    moved: identities of the parameters that an optimiser of PyTorch's moves
    named: {PyTorch's key: path in the state}, of what is known
    """
    tensors = {key: value for key, value in model.state_dict(keep_vars=True).items() if _counts(value)}
    pinned = {key: _path(state, key, place) for key, place in named.items()}
    trained = {id(parameter) for parameter in model.parameters()}
    leaves: list[Leaf] = []
    others = set(roles.others)
    for paths, is_trained in ((roles.buffers, False), ([*roles.params, *roles.others], True)):
        keys = [key for key, value in tensors.items() if (id(value) in trained) is is_trained]
        keys = _first_of_shared(keys, tensors)
        free = [path for path in paths if path not in {leaf.path for leaf in leaves}]
        odd = {(key, path) for key in keys for path in free if (id(tensors[key]) in moved) is (path in others)}
        leaves += _assigned(state, free, keys, model, pinned, is_trained, odd if is_trained else ())
    order = list(tensors)
    return sorted(leaves, key=lambda leaf: order.index(leaf.key))


def _counts(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not counter(value.detach().cpu().numpy())


def _first_of_shared(keys: list[str], tensors: Mapping[str, torch.Tensor]) -> list[str]:
    first: dict[int, str] = {}
    return [key for key in keys if first.setdefault(id(tensors[key]), key) == key]


def _path(state: JaxState, key: str, place: Any) -> Path:
    """Returns a path of the user's: a tuple, or names joined by dots or slashes, from the state or from its end."""
    words = tuple(str(name) for name in (place.replace("/", ".").split(".") if isinstance(place, str) else place))
    ends = [path for path in state.leaves if tuple(map(str, path))[-len(words) :] == words]
    whole = [path for path in ends if len(path) == len(words)] or ends[:1]
    if not whole:
        raise InputError(f"weights: {key!r} is said to be at {place!r}, where jax_state has nothing")
    return whole[0]


def _assigned(
    state: JaxState,
    paths: list[Path],
    keys: list[str],
    model: torch.nn.Module,
    pinned: dict[str, Path],
    trained: bool,
    odd: Container[tuple[str, Path]],
) -> list[Leaf]:
    options: dict[tuple[int, int], Leaf] = {}
    costs = np.full((len(keys), len(paths)), IMPOSSIBLE)
    for row, key in enumerate(keys):
        for column, path in enumerate(paths):
            if pinned.get(key, path) != path or (key not in pinned and path in pinned.values()):
                continue
            if leaf := next(iter(layouts(state, path, key, model, trained)), None):
                options[row, column] = leaf
                apart = abs(row / max(len(keys), 1) - column / max(len(paths), 1))
                unusual = _as_it_is(leaf) + ((key, path) in odd)
                costs[row, column] = -_likeness(key, path) + 0.1 * apart + UNUSUAL * unusual
    rows, columns = linear_sum_assignment(costs)
    return [options[pair] for pair in zip(rows.tolist(), columns.tolist(), strict=True) if pair in options]


def _as_it_is(leaf: Leaf) -> bool:
    """Tells whether a matrix that Flax calls a kernel would lie as PyTorch's does; theirs are transposed."""
    return leaf.path[-1] == "kernel" and len(leaf.shape) == 2 and leaf.axes == (0, 1)


def layouts(state: JaxState, path: Path, key: str, model: torch.nn.Module, trained: bool) -> list[Leaf]:
    """Returns every way in which a leaf may be PyTorch's tensor, the usual one first."""
    leaf = state.leaves[path]
    shape = tuple(model.state_dict()[key].shape)
    if math.prod(shape) != math.prod(np.shape(leaf)):
        return []
    module = model.get_submodule(key.rpartition(".")[0])
    dense = isinstance(module, torch.nn.Linear) or hasattr(module, "kernel_size")
    stored = tuple(np.shape(leaf))
    orders = ways(key, shape, Variable(("kernel" if dense else path[-1],), path, trained, stored, leaf.dtype), module)
    if dense:  # people write x @ W.T as well
        orders += ways(key, shape, Variable(path[-1:], path, trained, stored, leaf.dtype), None)
    return list({(each.split, each.axes, each.flip): each for each in orders}.values())


def _likeness(key: str, path: Path) -> float:
    words = _words(path)
    theirs = key.lower().split(".")
    last = words[-1].lstrip("_0123456789")
    same_end = 1.0 if theirs[-1] == words[-1] or (theirs[-1][:1] == last[:1] and len(last) < 3) else 0.0
    numbers = [number for number in map(_number, words) if number]
    same_number = 0.5 if numbers and numbers[-1:] == [n for n in map(_number, theirs) if n][-1:] else 0.0
    same_part = 1.0 if len(theirs) > 1 and theirs[0] in words[:-1] and not theirs[0].isdigit() else 0.0
    return (
        2 * (same_end + same_part)
        + same_number
        + alike(".".join(theirs), ".".join(words))
        + alike(theirs[-1], words[-1])
    )


def spelt(tensors: Sequence[Leaf]) -> set[str]:
    """Returns the keys that are spelt alike on both sides; of keys with numbers in them, none unless all are."""
    alike = {
        leaf.key for leaf in tensors if _words(leaf.path)[-len(leaf.key.split(".")) :] == leaf.key.lower().split(".")
    }
    whole = len(alike) == len(tensors)
    return alike if whole else {key for key in alike if not any(word.isdigit() for word in key.split("."))}


def _words(path: Path) -> list[str]:
    return [WORDS.get(str(name).lower(), str(name).lower()) for name in path]


def _number(name: str) -> str:
    return "".join(letter for letter in name if letter.isdigit())


def alternatives(
    state: JaxState, tensors: list[Leaf], model: torch.nn.Module, told: Container[str]
) -> Iterator[list[Leaf]]:
    """Yields maps that differ from this one in the layout of one tensor, or in two tensors of one shape.

    told: keys of PyTorch's that stay where they are
    """
    for number, leaf in enumerate(tensors):
        for other in layouts(state, leaf.path, leaf.key, model, leaf.trained):
            if (other.split, other.axes, other.flip) != (leaf.split, leaf.axes, leaf.flip):
                yield [*tensors[:number], other, *tensors[number + 1 :]]
    for first, one in enumerate(tensors):
        for second, two in enumerate(tensors[first + 1 :], first + 1):
            free = one.key not in told and two.key not in told
            if free and (one.trained, one.stored, one.shape) == (two.trained, two.stored, two.shape):
                swapped = list(tensors)
                swapped[first] = replace(one, path=two.path)
                swapped[second] = replace(two, path=one.path)
                yield swapped


def described(tensors: list[Leaf]) -> list[str]:
    """Returns the map in words."""
    return [f"{leaf.name} <- {dotted(leaf.path)}" for leaf in tensors]
