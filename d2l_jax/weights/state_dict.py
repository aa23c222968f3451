"""A state_dict into an NNX model and out of it: exact, or an error that lists what does not fit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, floating
from d2l_jax.weights.rules import leaves, variables

LISTED = 10  # problems of a kind that an error lists
Values = dict[tuple, jax.Array]


def state_dict(model: nnx.Module) -> dict[str, np.ndarray]:
    """{PyTorch's key: array in PyTorch's layout}, the exact inverse of `load_state_dict`.

    Shared tensors stand under each of their keys, as in PyTorch; counters are int64.
    """
    by_path = variables(model)
    return {leaf.key: leaf.to_torch(by_path[leaf.path][...]) for leaf in leaves(model)}


def put(
    model: nnx.Module,
    tensors: Mapping[str, Any],
    dtype: Any = None,
    *,
    read: Callable[[Any], np.ndarray] = np.asarray,
    hints: Mapping[str, str] | None = None,
    source: str = "",
) -> nnx.Module:
    """Puts tensors of PyTorch's into `model`, which is returned.

    dtype:  of the floating-point variables from now on; None keeps each variable's own
    read:   a tensor -> its array; called once for each, in the order of `tensors`, so that a file's may be lazy.
            An InputError of it is listed with the others
    hints:  what the error says behind a key that is missing
    source: where the tensors come from, for the error

    Raises InputError, and changes nothing, if a key is missing or left over, a shape differs, a value
    is not finite, or a shared tensor has two values; the first ten of each kind are listed.
    """
    values = converted(leaves(model), tensors, dtype, read, hints, source, type(model).__name__)
    return take(model, values)


def take(model: nnx.Module, values: Values) -> nnx.Module:
    """Puts arrays into the variables that stand at these paths of `model`, which is returned."""
    by_path = variables(model)
    for path, value in values.items():
        by_path[path].set_value(value)
    return model


def converted(
    expected: Sequence[Leaf],
    tensors: Mapping[str, Any],
    dtype: Any = None,
    read: Callable[[Any], np.ndarray] = np.asarray,
    hints: Mapping[str, str] | None = None,
    source: str = "",
    owner: str = "the model",
) -> Values:
    """Returns {path: JAX's array} of all that a model expects; options and errors are those of `put`."""
    by_key = {leaf.key: leaf for leaf in expected}
    hints = hints or {}
    missing = [f"missing {key} {leaf.shape}{hints.get(key, '')}" for key, leaf in by_key.items() if key not in tensors]
    left = [f"unexpected {key} {tuple(tensors[key].shape)}" for key in tensors if key not in by_key]
    values, wrong = _arrays(by_key, tensors, dtype, read)
    if problems := [*_first(missing), *_first(left), *_first(wrong)]:
        raise InputError(f"{source or 'the state_dict'} does not fit {owner}: {'; '.join(problems)}")
    return values


def _first(problems: list[str]) -> list[str]:
    more = len(problems) - LISTED
    return [*problems[:LISTED], *([f"and {more} more of that kind"] if more > 0 else [])]


def _arrays(
    by_key: dict[str, Leaf], tensors: Mapping[str, Any], dtype: Any, read: Callable
) -> tuple[Values, list[str]]:
    """Returns {path: JAX's array}, and a line for each reason why tensors cannot be such."""
    values: Values = {}
    problems: dict[str, list[str]] = {}
    first: dict[tuple, tuple[str, np.ndarray]] = {}
    keys_at = Counter(leaf.path for key, leaf in by_key.items() if key in tensors)
    for key, leaf in ((key, by_key[key]) for key in tensors if key in by_key):
        target = jnp.dtype(dtype if dtype is not None and floating(leaf) else leaf.dtype)
        try:
            array = read(tensors[key])
        except InputError as error:
            problems.setdefault(str(error), []).append(key)
            continue
        if problem := _problem(leaf, array, target):
            problems.setdefault(problem, []).append(key)
            continue
        if keys_at[leaf.path] > 1:
            other, value = first.setdefault(leaf.path, (key, array))
            if not np.array_equal(value, array):
                problems.setdefault("are one tensor in the model, but differ", []).append(f"{other} and {key}")
        # jnp.asarray may take the memory itself, which PyTorch's training goes on writing to.
        values[leaf.path] = jnp.array(leaf.to_flax(array), target)
    return values, [f"{_listed(keys)} {reason}" for reason, keys in problems.items()]


def _listed(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} (and {len(keys) - 1} more)"


def _problem(leaf: Leaf, array: np.ndarray, target: np.dtype) -> str:
    """Returns why the array cannot be this tensor; "" if it can."""
    if floating(leaf) and array.dtype.kind in "iu" and array.dtype.itemsize == 1:
        return f"holds {array.dtype}, quantized numbers whose scale stands elsewhere, where {target} is right"
    if array.size == 0 and 0 not in leaf.shape:
        return "is empty: it was saved where its numbers stand elsewhere (ZeRO-3, FSDP); gather them, then save"
    if array.shape != leaf.shape:
        turned = " (transposed, as GPT-2's Conv1D has its weights, square ones too)"
        return f"has shape {array.shape} where {leaf.shape} is right" + turned * (array.shape == leaf.shape[::-1])
    if array.dtype.kind == "c" and target.kind != "c":
        return f"holds complex numbers ({array.dtype}) where {target} is right"
    if array.dtype.kind != "c" and not np.all(_finite(array) | (leaf.bound & (np.abs(array) == np.inf))):
        return "has values that are not finite"
    return "" if _holds(array, target) else f"has values that {target} cannot hold"


def _holds(array: np.ndarray, dtype: np.dtype) -> bool:
    """Tells whether counters stay what they are in `dtype`, and finite numbers finite."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if np.issubdtype(cast.dtype, np.integer):
        return bool(np.all(cast == array))
    return bool(np.all(_finite(cast) | ~_finite(array)))


def _finite(array: np.ndarray) -> np.ndarray:
    return np.isfinite(array if array.dtype.kind == "c" else array.astype(np.float64))
