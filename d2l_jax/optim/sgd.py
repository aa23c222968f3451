"""Stochastic gradient descent with momentum."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.errors import InputError
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, rate_at, scaled_by_rate
from d2l_jax.optim.slots import per_parameter, slot


class MomentumState(NamedTuple):
    """The state of SGD with momentum under PyTorch's names.

    momentum_buffer: like the parameters; None for parameters whose momentum is 0
    """

    momentum_buffer: Any


def SGD(
    lr: Rate = 1e-3,
    momentum: Rate = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Stochastic gradient descent (`torch.optim.SGD`; book, 12.4 to 12.6).

    The L2 term joins the gradient before the momentum, whose first value is the gradient, undampened.

    momentum: a number, or a schedule, as PyTorch's CyclicLR and OneCycleLR cycle it

    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(
        groups,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        maximize=maximize,
    )
    return optax.chain(maximized(options), decayed(options), accumulated(options), scaled_by_rate(options))


def scale_by_momentum(
    momentum: Rate, dampening: float = 0.0, nesterov: bool = False, groups: Groups | None = None
) -> optax.GradientTransformation:
    """Replaces updates by momentum * buffer + (1 - dampening) * update; with nesterov, by update + momentum * that.

    Raises InputError for a negative momentum, or nesterov without momentum or with dampening.
    """
    return accumulated(Options(groups, momentum=momentum, dampening=dampening, nesterov=nesterov))


def accumulated(options: Options) -> optax.GradientTransformation:
    """Applies momentum as `scale_by_momentum` does; parameters whose momentum is 0 pass, and have no buffer."""
    _check_nesterov(options)
    if not options.any("momentum"):
        return optax.identity()
    # Only dampening tells the first update from the others; like a schedule's count, the flag is no slot.
    scheduled = any(callable(momentum) for momentum in options.values("momentum"))
    beside = {**({"begun": bool} if options.any("dampening") else {}), **({"updates": jnp.int32} if scheduled else {})}

    def init(params: optax.Params) -> Any:
        state = MomentumState(slot(params, options, "momentum"))
        return (state, {name: jnp.zeros((), dtype) for name, dtype in beside.items()}) if beside else state

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        (buffers,), memory = state if beside else (state, {})

        def rule(o: dict, g: Float[Array, "*shape"], buffer: Float[Array, "*shape"] | None) -> tuple:
            if buffer is None:
                return g, None
            momentum = o["momentum"]
            if scheduled:
                momentum = jnp.asarray(rate_at(momentum, memory["updates"]), g.dtype)
            weight = jnp.where(memory["begun"], 1 - o["dampening"], 1).astype(g.dtype) if o["dampening"] else 1
            buffer = momentum * buffer + weight * g
            return (g + momentum * buffer if o["nesterov"] else buffer), buffer

        updates, buffers = per_parameter(rule, options, updates, buffers)
        after = {name: jnp.ones((), bool) if name == "begun" else count + 1 for name, count in memory.items()}
        return updates, (MomentumState(buffers), after) if beside else MomentumState(buffers)

    return transformation(options, update, init)


def _check_nesterov(options: Options) -> None:
    """Raises InputError for nesterov as PyTorch does, except that a group may switch the momentum off."""
    for o in (options.defaults, *options.groups.values()):
        off = o is not options.defaults and o["momentum"] == 0
        none = not callable(o["momentum"]) and o["momentum"] <= 0
        if o["nesterov"] and not off and (none or o["dampening"] != 0):
            raise InputError(
                f"nesterov with momentum {o['momentum']} and dampening {o['dampening']}"
                " where a momentum > 0 and no dampening are right"
            )
