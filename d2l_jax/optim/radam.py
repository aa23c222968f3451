"""RAdam: Adam whose rate is rectified while few gradients have been seen (Liu et al. 2020)."""

import math
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.adam import AdamState
from d2l_jax.optim.bias import one_minus_power, wide
from d2l_jax.optim.gradient import with_either_decay
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate
from d2l_jax.optim.slots import average, average_square, per_parameter, slot

LEAST_LENGTH = 5.0  # the length of the average above which the rate adapts
SERIES_BELOW = 0.25


def RAdam(
    lr: Rate = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """RAdam (`torch.optim.RAdam`; Liu et al. 2020): momentum alone at first, then Adam with a rectified rate.

    decoupled_weight_decay: decays as AdamW, else by an L2 term in the gradient

    Its state is an `AdamState`. Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
        maximize=maximize,
    )
    return with_either_decay(adapted(options), options)


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates to RAdam's direction."""

    def init(params: optax.Params) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), slot(params, options), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        step = state.step + 1

        def rule(o: dict, g: Float[Array, "*shape"], m: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> tuple:
            first, second = o["betas"]
            m = average(m, g, first)
            v = average_square(v, g, second)
            mean = m / one_minus_power(first, step, g.dtype)
            adapted = jnp.sqrt(one_minus_power(second, step, g.dtype)) / (jnp.sqrt(v) + o["eps"])
            rectified, factor = rectification(second, step, wide(g.dtype))
            return mean * jnp.where(rectified, factor.astype(g.dtype) * adapted, 1.0), m, v

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, AdamState(step, *slots)

    return transformation(options, update, init)


def rectification(beta: float, step: Int[Array, ""], dtype: jnp.dtype) -> tuple[Array, Float[Array, ""]]:
    """Returns whether the rate adapts at this update, and the factor of its variance then."""
    longest = 2 / (1 - beta) - 1
    if longest <= LEAST_LENGTH:
        return jnp.zeros((), bool), jnp.ones((), dtype)
    length = average_length(beta, step.astype(dtype))
    safe = jnp.maximum(length, LEAST_LENGTH)
    factor = (safe - 4) * (safe - 2) * longest / ((longest - 4) * (longest - 2) * safe)
    return length > LEAST_LENGTH, jnp.sqrt(factor)


def average_length(beta: float, step: Float[Array, ""]) -> Float[Array, ""]:
    """The length of an average after `step` numbers, 2 / (1 - beta) - 1 - 2 step beta**step / (1 - beta**step).

    The two large terms would cancel in float32, and lose half of float64's digits. With c = -log(beta) and Langevin's
    function L(z) = coth(z) - 1 / z they are step * (1 - L(step * c / 2)) + L(c / 2).
    """
    c = -math.log(beta)
    first = 1 / math.tanh(c / 2) - 2 / c if c > SERIES_BELOW else _langevin_series(c / 2)
    return step * _one_minus_langevin(step * (c / 2)) + first


def _one_minus_langevin(z: Float[Array, ""]) -> Float[Array, ""]:
    large = jnp.maximum(z, SERIES_BELOW)
    return jnp.where(z < SERIES_BELOW, 1 - _langevin_series(z), 1 / large - 2 / jnp.expm1(2 * large))


def _langevin_series(z: Any) -> Any:
    square = z * z
    return z * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square * (1 / 4725 - square * (2 / 93555)))))
