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
from parity.files import read_state_dict

Axes = Callable[[int], tuple[int, ...]]
StateDict = Mapping[str, Any]


def as_is(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))


def output_first(rank: int) -> tuple[int, ...]:
    """(*window, in, out) -> (out, in, *window): a dense kernel, or a convolution's of any rank."""
    return (rank - 1, rank - 2, *range(rank - 2))


def channels_first(rank: int) -> tuple[int, ...]:
    """(batch, *size, channels) -> (batch, channels, *size)."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 2 else as_is(rank)


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
    """One tensor on both sides.

    key:      its name in PyTorch's state_dict
    path:     where it stands in Flax's plain dicts; the same for the several keys of a shared tensor
    trained:  a parameter, or else a buffer
    axes:     Flax's axes in PyTorch's order
    variable: Flax's variable itself
    """

    key: str
    path: tuple[str | int, ...]
    trained: bool
    axes: tuple[int, ...]
    variable: nnx.Variable

    @property
    def shape(self) -> tuple[int, ...]:
        """In PyTorch's layout."""
        return tuple(self.variable.shape[axis] for axis in self.axes)

    def to_torch(self, array: Any) -> np.ndarray:
        array = np.asarray(array).transpose(self.axes)
        return array.astype(np.int64) if array.dtype == np.int32 else array

    def to_flax(self, array: np.ndarray) -> np.ndarray:
        return array.transpose(np.argsort(self.axes))


def leaves(model: nnx.Module) -> list[Leaf]:
    """Every tensor of `model` that PyTorch's twin has too, in PyTorch's order; random keys are left out."""
    paths = {id(variable): path for path, variable in nnx.iter_graph(model) if isinstance(variable, nnx.Variable)}
    return list(_walk(model, "", paths))


def _walk(module: nnx.Module, prefix: str, paths: dict[int, tuple]) -> Iterator[Leaf]:
    rules = next((RULES[t] for t in type(module).__mro__ if t in RULES), {})
    variables, modules = {}, {}
    for name, value in _attributes(module):
        if isinstance(value, nnx.Variable) and not isinstance(value, nnx.RngState):
            variables[name] = value
        elif isinstance(value, nnx.Module) and not isinstance(value, nnx.RngStream | nnx.Rngs):
            modules[name] = value
    for name, variable in variables.items():
        torch_name, axes = rules.get(name, (name, as_is))
        trained = isinstance(variable, nnx.Param)
        yield Leaf(prefix + torch_name, paths[id(variable)], trained, axes(len(variable.shape)), variable)
    for name, child in modules.items():
        # nnx.Sequential's own list is no name of PyTorch's.
        own_list = isinstance(module, nnx.Sequential) and name == "layers"
        yield from _walk(child, prefix if own_list else f"{prefix}{name}.", paths)


def _attributes(module: nnx.Module) -> Iterator[tuple[str, Any]]:
    if isinstance(module, nnx.List):
        return ((str(i), value) for i, value in enumerate(module))
    return iter(vars(module).items())


def export(tensors: list[Leaf], tree: dict) -> dict[str, np.ndarray]:
    """The arrays of a plain dict under PyTorch's names and in its layout."""
    return {leaf.key: leaf.to_torch(_at(tree, leaf.path)) for leaf in tensors}


def _at(tree: Any, path: tuple) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def state_dict(model: nnx.Module) -> dict[str, np.ndarray]:
    """{PyTorch's key: array in PyTorch's layout}, the exact inverse of `load_state_dict`.

    Shared tensors stand under each of their keys, as in PyTorch; counters are int64.
    """
    return {leaf.key: leaf.to_torch(leaf.variable[...]) for leaf in leaves(model)}


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
    for leaf in tensors:
        target = dtype if dtype is not None and _floating(leaf) else leaf.variable.dtype
        leaf.variable.set_value(jnp.asarray(leaf.to_flax(arrays[leaf.key]), target))
    return model


def _floating(leaf: Leaf) -> bool:
    return bool(jnp.issubdtype(leaf.variable.dtype, jnp.floating))


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
        elif not _fits(array, dtype or leaf.variable.dtype if _floating(leaf) else leaf.variable.dtype):
            yield f"{leaf.key} has values that {leaf.variable.dtype} cannot hold"


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
