"""Averaged stochastic gradient descent (Polyak and Juditsky 1992)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.bias import wide
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, rate_at
from d2l_jax.optim.slots import number, per_parameter, slot


class ASGDState(NamedTuple):
    """The state of ASGD under PyTorch's names.

    step: number of updates so far, int32
    eta:  a float32 number for each parameter, the rate of its next update
    mu:   a float32 number for each parameter, the weight of the next one in the average
    ax:   like the parameters, their average
    """

    step: Int[Array, ""]
    eta: Any
    mu: Any
    ax: Any


def ASGD(
    lr: Rate = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Averaged SGD (`torch.optim.ASGD`; Polyak and Juditsky 1992); the averages stand in its state, as `ax`.

    lambd: decay of the parameters at each update, times the rate
    alpha: power with which the rate lr / (1 + lambd * lr * t)**alpha falls
    t0:    number of updates after which the average begins; before, it is the parameters

    The rate and the average's weight are float32 in PyTorch, also beside float64; a schedule is one update late.
    Raises InputError as PyTorch does, where a group fits no parameter, and for a negative alpha.
    """
    options = Options(groups, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)
    return optax.chain(maximized(options), decayed(options), averaged(options))


def averaged(options: Options) -> optax.GradientTransformation:
    """Scales updates by minus the falling rate, and averages the parameters."""

    def init(params: optax.Params) -> ASGDState:
        eta = number(params, options, lambda o: rate_at(o["lr"], 0))
        weight = number(params, options, lambda o: 1.0)
        return ASGDState(jnp.zeros((), jnp.int32), eta, weight, slot(params, options))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        if params is None:
            raise ValueError("ASGD averages the parameters: call update(grads, state, params)")
        step = state.step + 1

        def rule(
            o: dict,
            g: Float[Array, "*shape"],
            p: Float[Array, "*shape"],
            eta: Float[Array, ""],
            mu: Float[Array, ""],
            ax: Float[Array, "*shape"],
        ) -> tuple:
            rate = eta.astype(g.dtype)
            moved = p * (1 - o["lambd"] * rate) - rate * g
            ax = jnp.where(mu == 1, moved, ax + (moved - ax) * mu.astype(g.dtype))
            count = step.astype(wide(g.dtype))
            lr = jnp.asarray(rate_at(o["lr"], state.step), count.dtype)
            eta = (lr / (1 + o["lambd"] * lr * count) ** o["alpha"]).astype(eta.dtype)
            mu = (1 / jnp.maximum(1.0, count - o["t0"])).astype(mu.dtype)
            return -rate * (o["lambd"] * p + g), eta, mu, ax

        updates, *slots = per_parameter(rule, options, updates, params, *state[1:])
        return updates, ASGDState(step, *slots)

    return transformation(options, update, init)
