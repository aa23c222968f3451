"""The learning rate, at the end of every algorithm."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from d2l_jax.optim.groups import Groups, Options, transformation

Rate = float | optax.Schedule


def scale_by_rate(lr: Rate, groups: Groups | None = None) -> optax.GradientTransformation:
    """Multiplies updates by -lr; groups may differ in it.

    lr: a number, or a schedule: a function of the int32 count of earlier updates

    Raises InputError for a negative number, and where a group fits no parameter.
    """
    return scaled_by_rate(Options(groups, lr=lr))


def scaled_by_rate(options: Options) -> optax.GradientTransformation:
    """Multiplies updates by minus the option `lr`.

    The state of a schedule is a plain dict, {"updates": int32}: named tuples hold only slots that PyTorch has.
    """
    scheduled = any(callable(lr) for lr in options.values("lr"))

    def init(params: optax.Params) -> Any:
        return {"updates": jnp.zeros((), jnp.int32)} if scheduled else optax.EmptyState()

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def scale(path: tuple, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
            return u * -jnp.asarray(rate_at(options.of(path)["lr"], state["updates"] if scheduled else 0), u.dtype)

        after = {"updates": state["updates"] + 1} if scheduled else state
        return jax.tree_util.tree_map_with_path(scale, updates), after

    return transformation(options, update, init)


def rate_at(lr: Rate, count: ArrayLike) -> ArrayLike:
    """Returns the rate of the update with that count of earlier ones."""
    return lr(count) if callable(lr) else lr
