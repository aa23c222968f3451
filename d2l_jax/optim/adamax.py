"""Adamax: Adam with the largest gradient in place of the mean square (Kingma and Ba 2015)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.bias import one_minus_power
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import average, per_parameter, slot


class AdamaxState(NamedTuple):
    """The state of Adamax under PyTorch's names.

    step:    number of updates so far, int32
    exp_avg: like the parameters, the average of the gradient
    exp_inf: like the parameters, the largest gradient, where earlier ones fade
    """

    step: Int[Array, ""]
    exp_avg: Any
    exp_inf: Any


def Adamax(
    lr: Rate = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adamax (`torch.optim.Adamax`; Kingma and Ba 2015, section 7.1); eps joins the gradient's size.

    `optax.adamax` adds eps to the divisor. Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
    return optax.chain(maximized(options), decayed(options), adapted(options), scaled_by_rate(options))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates to Adamax's direction."""

    def init(params: optax.Params) -> AdamaxState:
        return AdamaxState(jnp.zeros((), jnp.int32), slot(params, options), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        step = state.step + 1

        def rule(
            o: dict, g: Float[Array, "*shape"], m: Float[Array, "*shape"], largest: Float[Array, "*shape"]
        ) -> tuple:
            m = average(m, g, o["betas"][0])
            largest = jnp.maximum(o["betas"][1] * largest, jnp.abs(g) + o["eps"])
            return m / one_minus_power(o["betas"][0], step, g.dtype) / largest, m, largest

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, AdamaxState(step, *slots)

    return transformation(options, update, init)
