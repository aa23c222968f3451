"""What an algorithm keeps for every parameter."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.optim.groups import Options


def slot(params: optax.Params, options: Options, needed: str | None = None, fill: float = 0.0) -> Any:
    """One array like each parameter, filled with `fill`; None where the option `needed` is off.

    PyTorch has no such slot there either.
    """

    def start(path: tuple, parameter: Array) -> Array | None:
        return jnp.full_like(parameter, fill) if needed is None or options.of(path)[needed] else None

    return jax.tree_util.tree_map_with_path(start, params)


def per_parameter(rule: Callable[..., tuple], options: Options, updates: optax.Updates, *slots: Any) -> list[Any]:
    """`rule(options, update, *slots) -> (update, *slots)` of every parameter, as trees."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(updates)
    if not flat:
        return [updates, *slots]
    columns = [treedef.flatten_up_to(tree) for tree in slots]
    rows = [rule(options.of(path), update, *kept) for (path, update), *kept in zip(flat, *columns)]
    return [treedef.unflatten(column) for column in zip(*rows)]


def average(old: Float[Array, "*shape"], new: Float[Array, "*shape"], keep: float) -> Float[Array, "*shape"]:
    """keep * old + (1 - keep) * new, of which both ends are exact (`torch.lerp`)."""
    weight = 1 - keep
    return old + weight * (new - old) if weight < 0.5 else new - keep * (new - old)


def average_square(old: Float[Array, "*shape"], new: Float[Array, "*shape"], keep: float) -> Float[Array, "*shape"]:
    """keep * old + (1 - keep) * new**2."""
    return keep * old + (1 - keep) * new * new
