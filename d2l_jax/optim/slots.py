"""Slots: the arrays that an algorithm has for every parameter."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from d2l_jax.optim.groups import Options


def slot(params: optax.Params, options: Options, needed: str | None = None, fill: float = 0.0) -> Any:
    """An array like each parameter, filled with `fill`; None where the option `needed` is off, as in PyTorch."""

    def start(path: tuple, parameter: Array) -> Array | None:
        return jnp.full_like(parameter, fill) if needed is None or options.of(path)[needed] else None

    return jax.tree_util.tree_map_with_path(start, params)


def number(params: optax.Params, options: Options, value: Callable[[dict[str, Any]], ArrayLike]) -> Any:
    """A number for each parameter, `value` of its options; float32 whatever the parameters are, as in PyTorch."""

    def start(path: tuple, parameter: Array) -> Array:
        return jnp.asarray(value(options.of(path)), jnp.float32)

    return jax.tree_util.tree_map_with_path(start, params)


def per_parameter(rule: Callable[..., tuple], options: Options, updates: optax.Updates, *slots: Any) -> list[Any]:
    """Applies `rule(options, update, *slots) -> (update, *slots)` to every parameter; returns a tree per result."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(updates)
    if not flat:
        return [updates, *slots]
    columns = [treedef.flatten_up_to(tree) for tree in slots]
    results = [rule(options.of(path), update, *old) for (path, update), *old in zip(flat, *columns)]
    return [treedef.unflatten(column) for column in zip(*results)]


def average(old: Float[Array, "*shape"], new: Float[Array, "*shape"], keep: float) -> Float[Array, "*shape"]:
    """The average keep * old + (1 - keep) * new, exact for keep = 0 and keep = 1 (`torch.lerp`)."""
    weight = 1 - keep
    return old + weight * (new - old) if weight < 0.5 else new - keep * (new - old)


def average_square(old: Float[Array, "*shape"], new: Float[Array, "*shape"], keep: float) -> Float[Array, "*shape"]:
    """The average keep * old + (1 - keep) * new**2."""
    return keep * old + (1 - keep) * new * new
