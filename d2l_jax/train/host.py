"""A state as numbers in this process's memory, wherever its arrays lie, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def to_host(tree: Any) -> Any:
    """Returns every array in NumPy, and random keys as their numbers; of what lies on several devices, one copy."""
    return jax.tree.map(lambda leaf: np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf), tree)


def from_host(numbers: Any, like: Any) -> Any:
    """Returns what `to_host` was given: random keys are keys again where `like` has some."""

    def leaf(array: Any, old: Any) -> jax.Array:
        array = jnp.asarray(array)
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(old)) if is_key(old) else array

    return jax.tree.map(leaf, numbers, like)


def local(tree: Any) -> Any:
    """Returns a copy of every array on this process's first device, so that it may compute alone."""
    return from_host(to_host(tree), tree)


def is_key(leaf: Any) -> bool:
    """Tells whether an array is of random keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
