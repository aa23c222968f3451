"""PyTorch's state_dict into an NNX model and out of it: exact, or an error that lists every leftover."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax.errors import InputError
from parity.weights.files import read_state_dict
from parity.weights.leaf import Leaf, floating
from parity.weights.rules import leaves, variables

StateDict = Mapping[str, Any]


def state_dict(model: nnx.Module) -> dict[str, np.ndarray]:
    """{PyTorch's key: array in PyTorch's layout}, the exact inverse of `load_state_dict`.

    Shared tensors stand under each of their keys, as in PyTorch; counters are int64.
    """
    by_path = variables(model)
    return {leaf.key: leaf.to_torch(by_path[leaf.path][...]) for leaf in leaves(model)}


def load_state_dict(model: nnx.Module, source: StateDict | str | Path, dtype: Any = None) -> nnx.Module:
    """Puts PyTorch's weights into `model`, which is returned.

    source: torch tensors or numpy arrays by key, or the path of a .safetensors or .pt file
    dtype:  of the floating-point variables from now on; None keeps each variable's own

    Raises InputError, and changes nothing, if a key is missing or left over, a shape differs, a value
    is not finite, or a shared tensor has two values; all of them are listed.
    """
    values = read_state_dict(source) if isinstance(source, str | Path) else source
    arrays = {key: to_numpy(value) for key, value in values.items()}
    tensors = leaves(model)
    if problems := [*_mismatches(tensors, arrays, dtype), *_conflicts(tensors, arrays)]:
        where = f" from {source}" if isinstance(source, str | Path) else ""
        raise InputError(f"the state_dict{where} does not fit {type(model).__name__}: {'; '.join(problems)}")
    by_path = variables(model)
    for leaf in tensors:
        target = dtype if dtype is not None and floating(leaf) else leaf.dtype
        by_path[leaf.path].set_value(jnp.asarray(leaf.to_flax(arrays[leaf.key]), target))
    return model


def _fits(array: np.ndarray, dtype: Any) -> bool:
    """Tells whether counters stay what they are in `dtype`, and other numbers finite."""
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
        elif not _fits(array, dtype or leaf.dtype if floating(leaf) else leaf.dtype):
            yield f"{leaf.key} has values that {leaf.dtype} cannot hold"


def _conflicts(tensors: list[Leaf], arrays: dict[str, np.ndarray]) -> Iterator[str]:
    first: dict[tuple, str] = {}
    for leaf in tensors:
        other = first.setdefault(leaf.path, leaf.key)
        both = {other, leaf.key} <= arrays.keys()
        if both and not np.array_equal(arrays[other], arrays[leaf.key]):
            yield f"{other} and {leaf.key} are one tensor in the model, but differ"


def to_numpy(value: Any) -> np.ndarray:
    """A torch tensor of any device and dtype, or anything array-like, as a numpy array."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    if str(value.dtype) == "torch.bfloat16":  # numpy has no bfloat16 of its own
        return value.float().numpy().astype(jnp.bfloat16)
    return value.numpy()
