"""Flax's optimiser beside arrays that the check has taken apart: it meets them whole, as their norms and names are."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from d2l_jax.weights.leaf import flatten
from parity.models.flax_model import FlaxModel


def of_whole_arrays(
    flax: FlaxModel, transformation: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Returns the transformation for the parameters of the model, its state taken apart as they are.

    Its arrays are those of the user's module: q, k and v in one, the layers of a scan in one.
    """
    inner = optax.with_extra_args_support(transformation)
    if not takes_apart(flax):
        return inner

    def init(params: Any) -> Any:
        return _in_trees(inner.init(flax.joined(params)), flax.apart)

    def update(updates: Any, state: Any, params: Any = None, **more: Any) -> tuple[Any, Any]:
        whole = None if params is None else flax.joined(params)
        updates, state = inner.update(flax.joined(updates), _in_trees(state, flax.joined), whole, **more)
        return flax.apart(updates), _in_trees(state, flax.apart)

    return optax.GradientTransformationExtraArgs(init, update)


def takes_apart(flax: FlaxModel) -> bool:
    """Tells whether arrays of the user's module are several of the model's."""
    whole = jax.eval_shape(flax.joined, flax.params)
    return dict(flatten(whole)).keys() != dict(flatten(flax.params)).keys()


def _in_trees(state: Any, function: Callable[[Any], Any]) -> Any:
    """Returns an optimiser's state with every tree in it, which is like the parameters, put through the function."""
    if isinstance(state, dict):
        return function(_within(state, function))
    if isinstance(state, tuple):
        items = [_in_trees(each, function) for each in state]
        return type(state)(*items) if hasattr(state, "_fields") else tuple(items)
    return state


def _within(tree: dict, function: Callable[[Any], Any]) -> dict:
    """Returns a tree with what its leaves hold, such as the state of each group's optimiser."""
    return {
        key: _within(value, function) if isinstance(value, dict) else _in_trees(value, function)
        for key, value in tree.items()
    }
