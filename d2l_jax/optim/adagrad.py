"""Adagrad (Duchi et al. 2011)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import per_parameter, slot


class AdagradState(NamedTuple):
    """The state of Adagrad under PyTorch's names.

    step: number of updates so far, int32
    sum:  like the parameters, the sum of squared gradients
    """

    step: Int[Array, ""]
    sum: Any


def Adagrad(
    lr: Rate = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adagrad (`torch.optim.Adagrad`; Duchi et al. 2011; book, 12.7, which has its eps inside the root).

    The rate of update t = 0, 1, ... is lr / (1 + t * lr_decay).
    Raises InputError as PyTorch does, where a group fits no parameter, and for an
    `initial_accumulator_value` in a group, which PyTorch would ignore.
    """
    options = Options(
        groups,
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
        maximize=maximize,
    )
    return optax.chain(maximized(options), decayed(options), adapted(options), scaled_by_rate(options))


def scale_by_adagrad(
    lr_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Scales updates to Adagrad's direction: g / (sqrt(sum of squares) + eps) / (1 + t * lr_decay)."""
    options = dict(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)
    return adapted(Options(groups, **options))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates as `scale_by_adagrad` does."""
    start, *of_groups = options.values("initial_accumulator_value")
    if any(value != start for value in of_groups):
        raise InputError("initial_accumulator_value differs by group where one value for all is right, as in PyTorch")

    def init(params: optax.Params) -> AdagradState:
        return AdagradState(jnp.zeros((), jnp.int32), slot(params, options, fill=start))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(o: dict, g: Float[Array, "*shape"], total: Float[Array, "*shape"]) -> tuple:
            total = total + g * g
            direction = g / (jnp.sqrt(total) + o["eps"])
            if o["lr_decay"]:
                wide = np.promote_types(g.dtype, np.float32)
                direction = direction / (1 + state.step.astype(wide) * o["lr_decay"]).astype(g.dtype)
            return direction, total

        updates, sums = per_parameter(rule, options, updates, state.sum)
        return updates, AdagradState(state.step + 1, sums)

    return transformation(options, update, init)
