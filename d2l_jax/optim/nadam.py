"""NAdam: Adam with Nesterov's momentum (Dozat 2016)."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.bias import one_minus_power, wide
from d2l_jax.optim.gradient import with_either_decay
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate
from d2l_jax.optim.slots import average, average_square, number, per_parameter, slot


class NAdamState(NamedTuple):
    """The state of NAdam under PyTorch's names.

    step:       number of updates so far, int32
    mu_product: a float32 number for each parameter, the product of its momenta so far
    exp_avg:    like the parameters, the average of the gradient
    exp_avg_sq: like the parameters, the average of the squared gradient
    """

    step: Int[Array, ""]
    mu_product: Any
    exp_avg: Any
    exp_avg_sq: Any


def NAdam(
    lr: Rate = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """NAdam (`torch.optim.NAdam`; Dozat 2016), whose momentum grows from half of betas[0] to all of it.

    decoupled_weight_decay: decays as AdamW, else by an L2 term in the gradient

    `optax.nadam` holds the momentum constant. The product of momenta is float32 in PyTorch, also beside float64.
    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(
        groups,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=decoupled_weight_decay,
        maximize=maximize,
    )
    return with_either_decay(adapted(options), options)


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates to NAdam's direction: a mean of the gradient and of its average a step ahead, over a root."""

    def init(params: optax.Params) -> NAdamState:
        product = number(params, options, lambda o: 1.0)
        return NAdamState(jnp.zeros((), jnp.int32), product, slot(params, options), slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        step = state.step + 1

        def rule(
            o: dict,
            g: Float[Array, "*shape"],
            product: Float[Array, ""],
            m: Float[Array, "*shape"],
            v: Float[Array, "*shape"],
        ) -> tuple:
            m = average(m, g, o["betas"][0])
            v = average_square(v, g, o["betas"][1])
            mu = _momentum(o, step.astype(wide(g.dtype)))
            ahead = _momentum(o, (step + 1).astype(wide(g.dtype)))
            product = product * mu.astype(product.dtype)
            so_far = product.astype(mu.dtype)
            of_gradient = ((1 - mu) / (1 - so_far)).astype(g.dtype)
            of_average = (ahead / (1 - so_far * ahead)).astype(g.dtype)
            root = jnp.sqrt(v / one_minus_power(o["betas"][1], step, g.dtype)) + o["eps"]
            return of_gradient * g / root + of_average * m / root, product, m, v

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, NAdamState(step, *slots)

    return transformation(options, update, init)


def _momentum(o: dict, step: Float[Array, ""]) -> Float[Array, ""]:
    return o["betas"][0] * (1 - 0.5 * jnp.exp(step * (o["momentum_decay"] * math.log(0.96))))
