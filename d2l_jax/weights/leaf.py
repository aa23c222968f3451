"""A tensor on both sides, and the plain dicts in which Flax keeps many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Shape = tuple[int, ...]
Rows = tuple[int, int] | tuple[int, int, int] | tuple[int, int, int, int]


@dataclass(frozen=True)
class Leaf:
    """A tensor on both sides, and how the one becomes the other.

    Flax's array is reshaped to `split`, turned round along `flip`, its axes are ordered as `axes` says, and the
    result reshaped to `shape`: plain data, so that a map can be saved.

    key:     its name in PyTorch's state_dict
    path:    where it stands in Flax's plain dicts; the same for the several keys of a shared tensor
    trained: a parameter, or else a buffer
    dtype:   Flax's
    stored:  its shape in Flax
    shape:   its shape in PyTorch, or that of its rows
    rows:    (first, end) of PyTorch's first axis that is longer than 1, where several of Flax's tensors make one of
             PyTorch's; and the length of a block, where they are those of every block, as queries of every head's;
             and the axis, where it is not the first, as in a weight of (inputs, outputs)
    merged:  keys of further tensors of PyTorch, where Flax keeps the sum of all alone
    bound:   a bound of what is trained, which may be infinite
    numbers: (path, shape, numbers of this tensor, places in the array) of each array of Flax's in which it stands,
             where these hold several tensors between them, in whatever order; `path` is then a name for it alone
    """

    key: str
    path: tuple[str | int, ...]
    trained: bool
    dtype: Any
    stored: Shape
    split: Shape
    axes: tuple[int, ...]
    shape: Shape
    flip: tuple[int, ...] = ()
    rows: Rows | None = None
    merged: tuple[str, ...] = ()
    bound: bool = False
    numbers: tuple[tuple[tuple[str | int, ...], Shape, tuple[int, ...], tuple[int, ...]], ...] = field(
        default=(), compare=False, repr=False
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """Returns the names of all tensors of PyTorch's that it stands for."""
        return self.key, *self.merged

    @property
    def name(self) -> str:
        """Returns the name in reports."""
        return " + ".join(self.keys)

    def __str__(self) -> str:
        """Returns both names, and which rows and what order of axes the one has of the other, as a map is printed."""
        first, end, *length = self.rows or (0, 0)
        of = f" of every {length[0]}" if length else ""
        kind = f"along axis {axis}, " if (axis := axis_of(self.rows)) else ""
        rows = f", {kind}rows {first} to {end - 1}{of}" if self.rows else ""
        plain = self.split == self.stored and list(self.axes) == sorted(self.axes)
        turned = tuple(self.split[axis] for axis in self.axes)
        way = [f"as {self.split}"] * (self.split != self.stored) + [f"flipped along axes {self.flip}"] * bool(self.flip)
        way += [f"axes in the order {self.axes}"] * (list(self.axes) != sorted(self.axes))
        way += [f"as {self.shape}"] * (turned != self.shape and not (plain and self.shape == self.stored))
        return f"{self.name}{rows} <- {'.'.join(map(str, self.path))} {self.stored}{': ' * bool(way)}{', '.join(way)}"

    def to_torch(self, array: Any) -> np.ndarray:
        array = np.flip(np.asarray(array).reshape(self.split), self.flip).transpose(self.axes).reshape(self.shape)
        return array.astype(np.int64) if array.dtype == np.int32 else array

    def to_flax(self, array: np.ndarray) -> np.ndarray:
        array = array.reshape([self.split[axis] for axis in self.axes]).transpose(np.argsort(self.axes))
        return np.flip(array, self.flip).reshape(self.stored)


def export(tensors: list[Leaf], tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a plain dict under PyTorch's names and in its layout."""
    pieces: dict[str, list[tuple[Rows | None, np.ndarray]]] = {}
    for leaf in tensors:
        pieces.setdefault(leaf.name, []).append((leaf.rows, leaf.to_torch(_at(tree, leaf.path))))
    return {name: rows_joined(parts) for name, parts in pieces.items()}


def rows_of(array: Any, rows: Rows | None) -> Any:
    """Returns these rows of a tensor: of its first axis that is longer than 1, or of every block of it."""
    if rows is None:
        return array
    if axis := axis_of(rows):
        return np.moveaxis(rows_of(np.moveaxis(array, axis, 0), along(rows)), 0, axis)
    array = array.reshape(without_ones(array.shape))
    first, end, *length = rows
    blocks = array.reshape(-1, *(length or array.shape[:1]), *array.shape[1:])
    return blocks[:, first:end].reshape(-1, *array.shape[1:])


def axis_of(rows: Rows | None) -> int:
    """Returns the axis that the rows are counted along."""
    return rows[3] if rows and len(rows) > 3 else 0


def along(rows: Rows | None) -> Rows | None:
    """Returns the rows as those of the axis that they are counted along, by itself."""
    return rows[:3] if rows else None


def without_ones(shape: Shape) -> Shape:
    """Returns a shape without axes of size 1 before the others."""
    return shape if len(shape) < 2 or shape[0] != 1 else without_ones(shape[1:])


def rows_joined(parts: list[tuple[Rows | None, np.ndarray]]) -> np.ndarray:
    """Returns a tensor of all of its rows: the reverse of `rows_of`."""
    if len(parts) == 1 or not parts[0][1].ndim:  # a count of steps has no rows
        return parts[0][1]
    if axis := axis_of(parts[0][0]):
        return np.moveaxis(rows_joined([(along(rows), np.moveaxis(x, axis, 0)) for rows, x in parts]), 0, axis)
    pieces = []
    for rows, array in sorted(parts, key=lambda part: part[0] or ()):
        width = rows[1] - rows[0] if rows else len(array)
        pieces.append(array.reshape(-1, width, *array.shape[1:]))
    return np.concatenate(pieces, 1).reshape(-1, *pieces[0].shape[2:])


def place(tensors: list[Leaf], arrays: Mapping[str, Any], tree: dict, dtype: Any = None) -> dict:
    """A copy of a plain dict of Flax's, with PyTorch's arrays in the places of `tensors`; floats as `dtype`."""
    flat = dict(flatten(tree))
    for leaf in tensors:
        array = np.sum([np.asarray(arrays[key]) for key in leaf.keys], 0) if leaf.merged else arrays[leaf.key]
        array = leaf.to_flax(rows_of(np.asarray(array), leaf.rows))
        flat[leaf.path] = _array(array, jnp.dtype(dtype if dtype is not None and floating(leaf) else leaf.dtype))
    return unflatten(flat)


def _array(array: np.ndarray, dtype: np.dtype) -> jax.Array:
    """Returns the array on JAX's side; numpy converts what it knows, where JAX compiles a program for each shape."""
    return jnp.asarray(array.astype(dtype, copy=False) if dtype.kind in "fiub" else array, dtype)


def flatten(tree: dict, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """(path, value) of everything that is not a dict."""
    for key, value in tree.items():
        yield from flatten(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


def unflatten(flat: Mapping[tuple, Any]) -> dict:
    """The exact inverse of `flatten`."""
    tree: dict = {}
    for (*folders, last), value in flat.items():
        node = tree
        for key in folders:
            node = node.setdefault(key, {})
        node[last] = value
    return tree


def _at(tree: Any, path: tuple) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def floating(leaf: Leaf) -> bool:
    """Tells whether the tensor holds floating-point numbers."""
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))
