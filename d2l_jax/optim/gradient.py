"""Weight decay and maximisation: the first changes of every algorithm to the gradient."""

from typing import Any

import jax
import optax
from jaxtyping import Array, Float

from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import scaled_by_rate


def add_decayed_weights(weight_decay: float, groups: Groups | None = None) -> optax.GradientTransformation:
    """Adds `weight_decay` times the parameter to the update; groups may differ in it.

    Raises InputError for a negative value, and where a group fits no parameter.
    """
    return decayed(Options(groups, weight_decay=weight_decay))


def decayed(options: Options, decoupled: bool | None = None) -> optax.GradientTransformation:
    """Adds the option `weight_decay` times the parameter to the update.

    decoupled: for parameters alone whose option `decoupled_weight_decay` is the same; None for all
    """
    if not options.any("weight_decay"):
        return optax.identity()

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        if params is None:
            raise ValueError("weight decay needs the parameters: call update(grads, state, params)")

        def decay(path: tuple, u: Float[Array, "*shape"], p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
            o = options.of(path)
            concerned = decoupled is None or o["decoupled_weight_decay"] == decoupled
            return u + o["weight_decay"] * p if o["weight_decay"] and concerned else u

        return jax.tree_util.tree_map_with_path(decay, updates, params), state

    return transformation(options, update)


def with_either_decay(direction: optax.GradientTransformation, options: Options) -> optax.GradientTransformation:
    """Returns the whole algorithm of a direction; weights decay behind it where `decoupled_weight_decay` is on.

    Elsewhere they decay by an L2 term in the gradient.
    """
    return optax.chain(
        maximized(options),
        decayed(options, decoupled=False),
        direction,
        decayed(options, decoupled=True),
        scaled_by_rate(options),
    )


def maximized(options: Options) -> optax.GradientTransformation:
    """Negates the gradient where the option `maximize` is on."""
    if not options.any("maximize"):
        return optax.identity()

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def negated(path: tuple, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
            return -u if options.of(path)["maximize"] else u

        return jax.tree_util.tree_map_with_path(negated, updates), state

    return transformation(options, update)
