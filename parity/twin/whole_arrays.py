"""Flax's optimiser beside arrays that the check has cut: it meets them whole, as their norms and names are."""

from collections.abc import Callable
from typing import Any

import optax

from parity.models.cut import Cut
from parity.models.flax_model import FlaxModel


def of_whole_arrays(
    flax: FlaxModel, transformation: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Returns the transformation for the parameters of the model, its state cut as they are."""
    inner = optax.with_extra_args_support(transformation)
    if not isinstance(flax, Cut):
        return inner

    def init(params: Any) -> Any:
        return _in_trees(inner.init(flax.joined(params)), flax.cut)

    def update(updates: Any, state: Any, params: Any = None, **more: Any) -> tuple[Any, Any]:
        whole = None if params is None else flax.joined(params)
        updates, state = inner.update(flax.joined(updates), _in_trees(state, flax.joined), whole, **more)
        return flax.cut(updates), _in_trees(state, flax.cut)

    return optax.GradientTransformationExtraArgs(init, update)


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
