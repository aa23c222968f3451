"""Axis orders: PyTorch has the channels of an image behind the batch, Flax has them last."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import accumulate, permutations
from operator import mul
from typing import Any

import numpy as np

from d2l_jax.weights.axes import channels_first

Shape = tuple[int, ...]
Axes = tuple[int, ...]


def of_inputs(rank: int) -> Axes:
    """Flax's axes in PyTorch's order: images are transposed, tables and sequences stay."""
    return channels_first(rank) if rank > 3 else tuple(range(rank))


def inverse(axes: Axes) -> Axes:
    """The order of axes that undoes this one."""
    return tuple(int(axis) for axis in np.argsort(axes))


def fitting(flax: Shape, torch: Shape) -> Iterator[Axes]:
    """Every order of Flax's axes that gives PyTorch's shape, the likelier first: images, then no change."""
    if sorted(flax) != sorted(torch):
        return
    rank = len(flax)
    likely = [channels_first(rank), tuple(range(rank))] if rank > 3 else [tuple(range(rank)), channels_first(rank)]
    for axes in dict.fromkeys([*likely, *permutations(range(rank))] if rank < 6 else likely):
        if tuple(flax[axis] for axis in axes) == tuple(torch):
            yield axes


def between(flax: Shape, torch: Shape) -> Axes:
    """The likeliest order of axes; no change where none fits, so that the comparison shows both shapes."""
    return next(fitting(flax, torch), tuple(range(len(flax))))


def is_ambiguous(shape: Shape) -> bool:
    """Tells whether a tensor has the same shape with its channels first and last."""
    return len(shape) > 2 and len(set(shape[1:])) == 1


def transposed(array: Any, axes: Axes) -> Any:
    """A numpy or JAX array with its axes in that order."""
    return array if axes == tuple(range(len(axes))) else array.transpose(axes)


def as_flax(array: Any, axes: Axes, shape: Shape) -> Any:
    """Returns PyTorch's array in Flax's layout, the opposite of `as_torch`."""
    array = transposed(array, inverse(axes))
    return array if len(axes) == len(shape) else array.reshape(shape)


def as_torch(array: Any, axes: Axes, shape: Shape) -> Any:
    """Returns Flax's array with its axes in that order; one of another number of axes has PyTorch's shape."""
    return transposed(array if len(axes) == len(array.shape) else array.reshape(shape), axes)


def joins(shape: Shape, other: Shape) -> bool:
    """Tells whether one of two shapes of other ranks is the other with neighbouring axes as one."""
    few, many = sorted((shape, other), key=len)
    if len(few) == len(many) or math.prod(few) != math.prod(many):
        return False
    ends = [{*accumulate(each, mul)} for each in (few, many)]
    return ends[0] <= ends[1]


def squeezed(shape: Shape) -> Shape:
    """Returns the shape without axes of size 1."""
    return tuple(size for size in shape if size != 1)


def from_first(shape: Shape) -> Shape:
    """Returns the shape without axes of size 1 in front, which mean nothing where arrays meet others."""
    return next((shape[axis:] for axis, size in enumerate(shape) if size != 1), ())


def copied(array: np.ndarray, axes: Axes) -> np.ndarray:
    """A copy with its axes in that order, as PyTorch keeps it in memory."""
    return np.array(transposed(array, axes), order="C")


def named_leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every array of nested tuples, lists, dicts and records of results: ("output.0", array).

    The keys of a dict are sorted, as JAX has them: the two frameworks' may be in any order.
    """
    if tree is None:
        return
    if hasattr(tree, "shape"):
        yield name, tree
    elif isinstance(tree, dict):
        for key, value in sorted(tree.items(), key=lambda item: str(item[0])):
            yield from named_leaves(value, f"{name}.{key}")
    elif isinstance(tree, tuple | list):
        fields = getattr(tree, "_fields", range(len(tree)))
        for key, value in zip(fields, tree, strict=True):
            yield from named_leaves(value, f"{name}.{key}")
    elif hasattr(tree, "__dataclass_fields__"):
        for key in tree.__dataclass_fields__:
            yield from named_leaves(getattr(tree, key), f"{name}.{key}")


def mapped(function: Callable[[Any, str], Any], tree: Any, name: str) -> Any:
    """Returns the same nested tuples, lists, dicts and records of function(array, its name as in `named_leaves`)."""
    if is_dataclass(tree) and not isinstance(tree, type):
        parts = {key.name: mapped(function, getattr(tree, key.name), f"{name}.{key.name}") for key in fields(tree)}
        return replace(tree, **parts)
    if isinstance(tree, Mapping):
        return {key: mapped(function, x, f"{name}.{key}") for key, x in tree.items()}
    if isinstance(tree, tuple | list):
        keys = getattr(tree, "_fields", range(len(tree)))
        parts = [mapped(function, x, f"{name}.{key}") for key, x in zip(keys, tree, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree if tree is None else function(tree, name)
