"""Algorithms that the book writes by hand otherwise than PyTorch does (sections 12.7 and 12.8)."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.optim.adagrad import AdagradState
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.rmsprop import RMSpropState
from d2l_jax.optim.slots import average_square, per_parameter, slot


def AdagradScratch(lr: Rate = 1e-2, eps: float = 1e-6, *, groups: Groups | None = None) -> optax.GradientTransformation:
    """Adagrad as the book writes it (section 12.7): eps is inside the root.

    Raises InputError for a negative value, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, eps=eps)

    def init(params: optax.Params) -> AdagradState:
        return AdagradState(jnp.zeros((), jnp.int32), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(o: dict, g: Float[Array, "*shape"], total: Float[Array, "*shape"]) -> tuple:
            total = total + g * g
            return g / jnp.sqrt(total + o["eps"]), total

        updates, sums = per_parameter(rule, options, updates, state.sum)
        return updates, AdagradState(state.step + 1, sums)

    return optax.chain(transformation(options, update, init), scaled_by_rate(options))


def RMSPropScratch(
    lr: Rate = 1e-2, gamma: float = 0.9, eps: float = 1e-6, *, groups: Groups | None = None
) -> optax.GradientTransformation:
    """RMSProp as the book writes it (section 12.8): eps is inside the root.

    gamma: weight of the earlier squares, PyTorch's alpha

    Raises InputError for a negative value, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, gamma=gamma, eps=eps)

    def init(params: optax.Params) -> RMSpropState:
        return RMSpropState(jnp.zeros((), jnp.int32), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(o: dict, g: Float[Array, "*shape"], square: Float[Array, "*shape"]) -> tuple:
            square = average_square(square, g, o["gamma"])
            return g / jnp.sqrt(square + o["eps"]), square

        updates, squares = per_parameter(rule, options, updates, state.square_avg)
        return updates, RMSpropState(state.step + 1, squares)

    return optax.chain(transformation(options, update, init), scaled_by_rate(options))
