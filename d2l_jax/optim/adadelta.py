"""Adadelta (Zeiler 2012)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import average_square, per_parameter, slot


class AdadeltaState(NamedTuple):
    """The state of Adadelta under PyTorch's names.

    step:       number of updates so far, int32
    square_avg: like the parameters, the average of the squared gradient
    acc_delta:  like the parameters, the average of the squared direction
    """

    step: Int[Array, ""]
    square_avg: Any
    acc_delta: Any


def Adadelta(
    lr: Rate = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adadelta (`torch.optim.Adadelta`; Zeiler 2012; book, 12.9); both eps are inside their roots.

    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)
    return optax.chain(maximized(options), decayed(options), adapted(options), scaled_by_rate(options))


def scale_by_adadelta(
    rho: float = 0.9, eps: float = 1e-6, groups: Groups | None = None
) -> optax.GradientTransformation:
    """Scales updates to Adadelta's direction, g * sqrt(acc_delta + eps) / sqrt(square_avg + eps)."""
    return adapted(Options(groups, rho=rho, eps=eps))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates as `scale_by_adadelta` does."""

    def init(params: optax.Params) -> AdadeltaState:
        return AdadeltaState(jnp.zeros((), jnp.int32), slot(params, options), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(
            o: dict, g: Float[Array, "*shape"], square: Float[Array, "*shape"], delta: Float[Array, "*shape"]
        ) -> tuple:
            square = average_square(square, g, o["rho"])
            direction = jnp.sqrt(delta + o["eps"]) / jnp.sqrt(square + o["eps"]) * g
            return direction, square, average_square(delta, direction, o["rho"])

        updates, *slots = per_parameter(rule, options, updates, state.square_avg, state.acc_delta)
        return updates, AdadeltaState(state.step + 1, *slots)

    return transformation(options, update, init)
