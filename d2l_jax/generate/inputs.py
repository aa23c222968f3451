"""Checks of the inputs of generation; values are checked only outside of a `jax.jit`, which hides them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int

from d2l_jax.errors import InputError


def at_least(name: str, value: int, least: int) -> None:
    """Raises InputError for a `value` below `least`."""
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")


def check_token(name: str, token: int, vocab: int) -> None:
    """Raises InputError unless `token` is one of a vocabulary of `vocab` tokens."""
    if not 0 <= token < vocab:
        raise InputError(f"{name} is token {token}, but the vocabulary ends at {vocab - 1}")


def as_ids(name: str, ids: Any, vocab: int) -> Int[Array, "batch steps"]:
    """Returns `ids` as an array of integers (batch, steps).

    Raises: InputError unless they are such integers from 0 to vocab - 1, with at least one step.
    """
    array = _as_array(name, ids)
    if array.ndim == 2 and array.size == 0:
        raise InputError(f"{name} is empty, shape {array.shape}: give at least one row of one token")
    if array.ndim != 2 or not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"{name} must be integers (batch, steps), got {array.dtype} {array.shape}")
    if len(wrong := _where(array, 0, vocab - 1)):
        row, step = wrong[0]
        where = f"{name} has token {array[row, step]} in row {row}, step {step}"
        raise InputError(f"{where}; the vocabulary has 0 to {vocab - 1}")
    return jnp.asarray(array)


def as_lengths(lengths: Any, sources: Int[Array, "batch sources"]) -> Int[Array, " batch"]:
    """Returns `lengths` as an array of integers (batch,).

    Raises: InputError unless they are integers from 1 to the steps of the `sources`, one for each source.
    """
    array = _as_array("the valid lengths", lengths)
    batch, steps = sources.shape
    if array.shape != (batch,) or not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"the valid lengths must be integers ({batch},), got {array.dtype} {array.shape}")
    if len(wrong := _where(array, 1, steps)):
        what = f"valid length {array[wrong[0, 0]]} in row {wrong[0, 0]}"
        raise InputError(f"{what}; it must lie between 1 and {steps}, the steps of the source")
    return jnp.asarray(array)


def _as_array(name: str, values: Any) -> Any:
    try:
        return values if isinstance(values, Array) else np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must be an array of integers; its rows differ in length") from None


def _where(array: Any, least: int, most: int) -> np.ndarray:
    """The positions of values outside of the range, (number, axes); none while tracing."""
    if isinstance(array, Tracer):
        return np.zeros((0, array.ndim), int)
    return np.argwhere((np.asarray(array) < least) | (np.asarray(array) > most))
