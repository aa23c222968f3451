"""A checkpoint of PyTorch's into a Flax model that was never written to match it, by the map that a check has found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen, nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, axis_of, flatten, place, unflatten, without_ones
from d2l_jax.weights.rules import variables
from d2l_jax.weights.state_dict import take
from parity.match.maps import told_map
from parity.models.calls import Path
from parity.models.cut import joined
from parity.models.cutting import cuts_of, whole_name
from parity.models.seen_within import stack_and_number
from parity.models.woven import weaves_of, woven
from parity.weights.content import content_of
from parity.weights.state_dict import Source, arrays_of, read


class Home(NamedTuple):
    """An array of the model's, and where it stands; a map leaves the collection of Linen's parameters out."""

    path: Path
    array: Any
    trained: bool


Homes = Mapping[Path, Home]


def load_by_map(
    model: nnx.Module | Mapping[str, Any],
    source: Source,
    weights: Sequence[Leaf] | str | File,
    dtype: Any = None,
    *,
    entry: str = "",
) -> Any:
    """Puts PyTorch's weights into a Flax model of your own, whose names, layouts and joint arrays may be others.

    model:   an NNX module, which is changed and returned; or the variables of a Linen module,
             {"params": ..., "batch_stats": ...}, of which a changed copy is returned
    source:  of the PyTorch model's tensors, as for `load_state_dict`, like `dtype` and `entry`
    weights: the map, as `parity.check(...).weights` holds it, or the file that `save_map` made of it

    Raises InputError, and changes nothing, where `load_state_dict` does, and where the map is another model's.
    """
    bare = linen.meta.unbox(model) if isinstance(model, Mapping) else model  # of the names that axes have on a mesh
    homes, owner = _homes(bare)
    leaves = [_as_here(leaf, homes, owner) for leaf in told_map(weights)]
    held = read(source)
    whole = {leaf.key: _as_there(leaf, content_of(held).tensors) for leaf in _whole(leaves)}
    theirs = arrays_of(list(whole.values()), held, source, dtype, entry, owner)
    parts = place(leaves, {key: theirs[leaf.path] for key, leaf in whole.items()}, {}, dtype)
    parts = woven(parts, weaves_of(leaves))
    arrays = {homes[path].path: array for path, array in _together(parts, homes)}
    for home in homes.values():
        shape = getattr(arrays.get(home.path), "shape", home.array.shape)
        if shape != home.array.shape or (home.trained and home.path not in arrays):
            has = f"has it of shape {shape}" if home.path in arrays else "lacks it"
            name = f"{_name(home.path)} {home.array.shape}"
            raise InputError(f"{owner} holds {name}; the map {has}: it is another model's")
    if isinstance(model, nnx.Module):
        return take(model, arrays)
    filled = unflatten({path: arrays.get(path, array) for path, array, _ in homes.values()})
    return linen.meta.replace_boxed(model, filled)


def _homes(model: Any) -> tuple[Homes, str]:
    """Returns a model's arrays by where a map has them, and what the model is called."""
    if isinstance(model, nnx.Module):
        nodes = variables(model).items()
        homes = [Home(path, node, isinstance(node, nnx.Param)) for path, node in nodes]
        return {_name_parts(home.path): home for home in homes}, type(model).__name__
    if not isinstance(model, Mapping) or "params" not in model:
        kind = getattr(model, "__name__", type(model).__name__)
        right = "an NNX module, or the variables of a Linen module, {'params': ...}"
        raise InputError(f"weights go into {right}, not into {kind}")
    homes = [Home(path, array, path[0] == "params") for path, array in flatten(_plain(model))]
    return {_name_parts(home.path[1:] if home.trained else home.path): home for home in homes}, "the variables"


def _plain(tree: Any) -> Any:
    """Returns a tree of plain dicts, as Linen's frozen ones are none."""
    return {key: _plain(value) for key, value in tree.items()} if isinstance(tree, Mapping) else tree


def _name_parts(path: Path) -> Path:
    """Returns a path as a stack has it, where an index is a text, too."""
    return tuple(map(str, path))


def _name(path: Path) -> str:
    return ".".join(map(str, path))


def _as_here(leaf: Leaf, homes: Homes, owner: str) -> Leaf:
    """Returns a leaf in the precision that the model has now."""
    path = leaf.numbers[0][0] if leaf.numbers else (*leaf.path[:-1], whole_name(leaf.path[-1]))
    home = _home(_name_parts(path), homes)
    if home is None:
        raise InputError(f"the map has {_name(path)}, and {owner} not: it is another model's")
    numbers = tuple((_name_parts(where), *rest) for where, *rest in leaf.numbers)
    return replace(leaf, path=_name_parts(leaf.path), dtype=homes[home[0]].array.dtype, numbers=numbers)


def _home(path: Path, homes: Homes) -> tuple[Path, int] | None:
    """Returns where an array stands, and its number there, if it is a layer of a stack: 2 of blocks.2.kernel."""
    if path in homes:
        return path, -1
    for n, part in enumerate(path):
        stack, number = stack_and_number(part) or ("", -1)
        if (whole := (*path[:n], stack, *path[n + 1 :])) in homes and stack:
            return whole, number
    return None


def _whole(told: Iterable[Leaf]) -> Iterator[Leaf]:
    """Yields every tensor of PyTorch's that a map names, whole and in PyTorch's own layout."""
    firsts: dict[str, int] = {}
    leaves: dict[str, Leaf] = {}
    for leaf in told:
        for key in leaf.keys:
            leaves.setdefault(key, leaf)
            firsts[key] = max(firsts.get(key, 0), _length(leaf))
    for key, leaf in leaves.items():
        axis = axis_of(leaf.rows)
        shape = (*leaf.shape[:axis], firsts[key], *leaf.shape[axis + 1 :]) if leaf.shape else ()
        # Tied tensors are one in Flax; parts of a tensor, and sums, are no ties.
        tied = (*leaf.path, str((leaf.split, leaf.axes))) if leaf.rows is None and not leaf.merged else (key,)
        axes = tuple(range(len(shape)))
        yield Leaf(key, tied, leaf.trained, leaf.dtype, shape, shape, axes, shape, bound=leaf.bound)


def _as_there(leaf: Leaf, tensors: Mapping[str, Any]) -> Leaf:
    """Returns a whole tensor in the shape of a checkpoint, where axes of size 1 may stand before that of the rows."""
    shapes = (tuple(tensor.shape) for name, tensor in tensors.items() if f".{name}".endswith(f".{leaf.key}"))
    shape = next((shape for shape in shapes if without_ones(shape) == leaf.shape), leaf.shape)
    return replace(leaf, stored=shape, split=shape, axes=tuple(range(len(shape))), shape=shape)


def _length(leaf: Leaf) -> int:
    """Returns how many rows PyTorch's tensor has at least, as these of its rows say."""
    if not leaf.rows:
        return leaf.shape[0] if leaf.shape else 0
    first, end, *of = leaf.rows
    return leaf.shape[axis_of(leaf.rows)] // (end - first) * of[0] if of else end


def _together(parts: dict, homes: Homes) -> Iterator[tuple[Path, Any]]:
    """Yields (path, array) of the arrays of the model: pieces are joined, and the layers of a stack."""
    cuts = cuts_of(path for path, _ in flatten(parts))
    stacks: dict[Path, dict[int, Any]] = {}
    for path, array in flatten(joined(parts, cuts)):
        home = _home(path, homes)
        assert home is not None, path  # since all leaves have one
        whole, number = home
        stacks.setdefault(whole, {})[number] = array
    for whole, layers in stacks.items():
        yield whole, layers[-1] if -1 in layers else jnp.stack([layers[number] for number in sorted(layers)])
