"""Yogi: Adam whose mean square grows by the gradient's size alone (Zaheer et al. 2018)."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.optim.adam import AdamState
from d2l_jax.optim.bias import one_minus_power
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import average, per_parameter, slot


def Yogi(
    lr: Rate = 1e-2,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-3,
    *,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Yogi as the book writes it (section 12.10; Zaheer et al. 2018); PyTorch has none.

    Its state is an `AdamState` that begins at 0; `optax.yogi` begins at 1e-6 and so differs.
    Raises InputError for a value that Adam refuses, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, betas=betas, eps=eps)
    return optax.chain(adapted(options), scaled_by_rate(options))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates to Yogi's direction."""

    def init(params: optax.Params) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), slot(params, options), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        step = state.step + 1

        def rule(o: dict, g: Float[Array, "*shape"], m: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> tuple:
            first, second = o["betas"]
            square = g * g
            m = average(m, g, first)
            v = v + (1 - second) * jnp.sign(square - v) * square
            root = jnp.sqrt(v / one_minus_power(second, step, g.dtype)) + o["eps"]
            return m / one_minus_power(first, step, g.dtype) / root, m, v

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, AdamState(step, *slots)

    return transformation(options, update, init)
