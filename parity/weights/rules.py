"""PyTorch's state_dict and Flax's state: a rule, an exact bijection, or an error that lists every leftover."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import nn
from d2l_jax.errors import InputError
from d2l_jax.models.batch_norm import BatchNormScratch
from parity.arrays.layout import channels_first
from parity.weights.files import read_state_dict

Shape = tuple[int, ...]
Axes = Callable[[int], Shape]
StateDict = Mapping[str, Any]


def as_is(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))


def output_first(rank: int) -> tuple[int, ...]:
    """(*window, in, out) -> (out, in, *window): a dense kernel, or a convolution's of any rank."""
    return (rank - 1, rank - 2, *range(rank - 2))


# layer type -> Flax name of a variable -> (PyTorch's name, order of Flax's axes in PyTorch).
# A variable that no rule names has the same name and shape on both sides.
RULES: dict[type, dict[str, tuple[str, Axes]]] = {
    nnx.Linear: {"kernel": ("weight", output_first)},
    nnx.Conv: {"kernel": ("weight", output_first)},
    nnx.Embed: {"embedding": ("weight", as_is)},
    nnx.LayerNorm: {"scale": ("weight", as_is)},
    nn.BatchNorm: {
        "scale": ("weight", as_is),
        "mean": ("running_mean", as_is),
        "var": ("running_var", as_is),
    },
    BatchNormScratch: {name: (name, channels_first) for name in ("gamma", "beta", "moving_mean", "moving_var")},
}


@dataclass(frozen=True)
class Leaf:
    """One tensor on both sides, and how the one becomes the other.

    Flax's array is reshaped to `split`, turned round along `flip`, its axes are ordered as `axes` says, and the
    result reshaped to `shape`: plain data, so that a map can be saved.

    key:     its name in PyTorch's state_dict
    path:    where it stands in Flax's plain dicts; the same for the several keys of a shared tensor
    trained: a parameter, or else a buffer
    dtype:   Flax's
    stored:  its shape in Flax
    shape:   its shape in PyTorch, or that of its rows
    rows:    (first, end) of PyTorch's first axis, where several of Flax's tensors make one of PyTorch's
    merged:  keys of further tensors of PyTorch, where Flax keeps the sum of all alone
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
    rows: tuple[int, int] | None = None
    merged: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In reports."""
        return " + ".join((self.key, *self.merged))

    def to_torch(self, array: Any) -> np.ndarray:
        array = np.flip(np.asarray(array).reshape(self.split), self.flip).transpose(self.axes).reshape(self.shape)
        return array.astype(np.int64) if array.dtype == np.int32 else array

    def to_flax(self, array: np.ndarray) -> np.ndarray:
        array = array.reshape([self.split[axis] for axis in self.axes]).transpose(np.argsort(self.axes))
        return np.flip(array, self.flip).reshape(self.stored)


def leaf(key: str, path: tuple, trained: bool, variable: Any, axes: tuple[int, ...]) -> Leaf:
    """A tensor whose axes alone are in another order."""
    shape = tuple(variable.shape[axis] for axis in axes)
    return Leaf(key, path, trained, variable.dtype, variable.shape, variable.shape, axes, shape)


def leaves(model: nnx.Module) -> list[Leaf]:
    """Every tensor of `model` that PyTorch's twin has too, in PyTorch's order; random keys are left out."""
    return list(_walk(model, "", {id(variable): path for path, variable in variables(model).items()}))


def variables(model: nnx.Module) -> dict[tuple, nnx.Variable]:
    """Every variable of the model where it first stands."""
    return {path: node for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Variable)}


def _walk(module: nnx.Module, prefix: str, paths: dict[int, tuple]) -> Iterator[Leaf]:
    rules = next((RULES[t] for t in type(module).__mro__ if t in RULES), {})
    own, modules = {}, {}
    for name, value in _attributes(module):
        if isinstance(value, nnx.Variable) and not isinstance(value, nnx.RngState):
            own[name] = value
        elif isinstance(value, nnx.Module) and not isinstance(value, nnx.RngStream | nnx.Rngs):
            modules[name] = value
    for name, variable in own.items():
        torch_name, axes = rules.get(name, (name, as_is))
        trained = isinstance(variable, nnx.Param)
        yield leaf(prefix + torch_name, paths[id(variable)], trained, variable, axes(len(variable.shape)))
    for name, child in modules.items():
        # nnx.Sequential's own list is no name of PyTorch's.
        own_list = isinstance(module, nnx.Sequential) and name == "layers"
        yield from _walk(child, prefix if own_list else f"{prefix}{name}.", paths)


def _attributes(module: nnx.Module) -> Iterator[tuple[str, Any]]:
    if isinstance(module, nnx.List):
        return ((str(i), value) for i, value in enumerate(module))
    return iter(vars(module).items())


def export(tensors: list[Leaf], tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a plain dict under PyTorch's names and in its layout."""
    pieces: dict[str, list[tuple[int, np.ndarray]]] = {}
    for leaf in tensors:
        piece = (leaf.rows or (0, 0))[0], leaf.to_torch(_at(tree, leaf.path))
        pieces.setdefault(leaf.name, []).append(piece)
    return {name: _joined(parts) for name, parts in pieces.items()}


def _joined(parts: list[tuple[int, np.ndarray]]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0][1]
    return np.concatenate([array for _, array in sorted(parts, key=lambda part: part[0])])


def place(tensors: list[Leaf], arrays: StateDict, tree: dict, dtype: Any = None) -> dict:
    """A copy of a plain dict of Flax's, with PyTorch's arrays in the places of `tensors`; floats as `dtype`."""
    flat = dict(flatten(tree))
    for leaf in tensors:
        array = (
            np.sum([np.asarray(arrays[key]) for key in (leaf.key, *leaf.merged)], 0)
            if leaf.merged
            else arrays[leaf.key]
        )
        array = leaf.to_flax(np.asarray(array)[slice(*leaf.rows)] if leaf.rows else np.asarray(array))
        flat[leaf.path] = jnp.asarray(array, dtype if dtype is not None and _floating(leaf) else leaf.dtype)
    return unflatten(flat)


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


def state_dict(model: nnx.Module) -> dict[str, np.ndarray]:
    """{PyTorch's key: array in PyTorch's layout}, the exact inverse of `load_state_dict`.

    Shared tensors stand under each of their keys, as in PyTorch; counters are int64.
    """
    found = variables(model)
    return {leaf.key: leaf.to_torch(found[leaf.path][...]) for leaf in leaves(model)}


def load_state_dict(model: nnx.Module, source: StateDict | str | Path, dtype: Any = None) -> nnx.Module:
    """Puts PyTorch's weights into `model`, which is returned.

    source: torch tensors or numpy arrays by key, or the path of a .safetensors or .pt file
    dtype:  of the floating-point variables from now on; None keeps each variable's own

    Raises InputError, and changes nothing, if a key is missing or left over, a shape differs, a value
    is not finite, or a shared tensor has two values; all of them are listed.
    """
    given = read_state_dict(source) if isinstance(source, str | Path) else source
    arrays = {key: to_numpy(value) for key, value in given.items()}
    tensors = leaves(model)
    if problems := [*_mismatches(tensors, arrays, dtype), *_conflicts(tensors, arrays)]:
        where = f" from {source}" if isinstance(source, str | Path) else ""
        raise InputError(f"the state_dict{where} does not fit {type(model).__name__}: {'; '.join(problems)}")
    found = variables(model)
    for leaf in tensors:
        target = dtype if dtype is not None and _floating(leaf) else leaf.dtype
        found[leaf.path].set_value(jnp.asarray(leaf.to_flax(arrays[leaf.key]), target))
    return model


def _floating(leaf: Leaf) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _fits(array: np.ndarray, dtype: Any) -> bool:
    """Whether counters stay what they are in `dtype`, and other numbers finite."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    return bool(
        np.all(cast == array if np.issubdtype(cast.dtype, np.integer) else np.isfinite(cast.astype(np.float64)))
    )


def _mismatches(tensors: list[Leaf], arrays: dict[str, np.ndarray], dtype: Any) -> Iterator[str]:
    expected = {leaf.key: leaf.shape for leaf in tensors}
    yield from (f"missing {key} {shape}" for key, shape in expected.items() if key not in arrays)
    yield from (f"unexpected {key} {a.shape}" for key, a in arrays.items() if key not in expected)
    for leaf in (leaf for leaf in tensors if leaf.key in arrays):
        array = arrays[leaf.key]
        if array.shape != leaf.shape:
            yield f"{leaf.key} has shape {array.shape} where {leaf.shape} is right"
        elif not np.all(np.isfinite(array.astype(np.float64))):
            yield f"{leaf.key} has values that are not finite"
        elif not _fits(array, dtype or leaf.dtype if _floating(leaf) else leaf.dtype):
            yield f"{leaf.key} has values that {leaf.dtype} cannot hold"


def _conflicts(tensors: list[Leaf], arrays: dict[str, np.ndarray]) -> Iterator[str]:
    first: dict[tuple, str] = {}
    for leaf in tensors:
        other = first.setdefault(leaf.path, leaf.key)
        given = {other, leaf.key} <= arrays.keys()
        if given and not np.array_equal(arrays[other], arrays[leaf.key]):
            yield f"{other} and {leaf.key} are one tensor in the model, but differ"


def to_numpy(value: Any) -> np.ndarray:
    """A torch tensor of any device and dtype, or anything array-like, as a numpy array."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    if str(value.dtype) == "torch.bfloat16":  # numpy has no bfloat16 of its own
        return value.float().numpy().astype(jnp.bfloat16)
    return value.numpy()
