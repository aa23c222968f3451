"""Stochastic gradient descent with momentum."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.errors import InputError
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import per_parameter, slot


class MomentumState(NamedTuple):
    """The state of SGD with momentum under PyTorch's names.

    momentum_buffer: like the parameters; None for parameters whose momentum is 0
    """

    momentum_buffer: Any


def SGD(
    lr: Rate = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Stochastic gradient descent (`torch.optim.SGD`; book, 12.4 to 12.6).

    The L2 term joins the gradient before the momentum, whose first value is the gradient, undampened.
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
    momentum: float, dampening: float = 0.0, nesterov: bool = False, groups: Groups | None = None
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
    flagged = options.any("dampening")

    def init(params: optax.Params) -> Any:
        state = MomentumState(slot(params, options, "momentum"))
        return (state, {"begun": jnp.zeros((), bool)}) if flagged else state

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        (buffers,), begun = (state[0], state[1]["begun"]) if flagged else (state, True)

        def rule(o: dict, g: Float[Array, "*shape"], buffer: Float[Array, "*shape"] | None) -> tuple:
            if buffer is None:
                return g, None
            weight = jnp.where(begun, 1 - o["dampening"], 1).astype(g.dtype) if o["dampening"] else 1
            buffer = o["momentum"] * buffer + weight * g
            return (g + o["momentum"] * buffer if o["nesterov"] else buffer), buffer

        updates, buffers = per_parameter(rule, options, updates, buffers)
        after = MomentumState(buffers)
        return updates, (after, {"begun": jnp.ones((), bool)}) if flagged else after

    return transformation(options, update, init)


def _check_nesterov(options: Options) -> None:
    """Raises InputError for nesterov as PyTorch does, except that a group may switch the momentum off."""
    for o in (options.defaults, *options.groups.values()):
        off = o is not options.defaults and o["momentum"] == 0
        if o["nesterov"] and not off and (o["momentum"] <= 0 or o["dampening"] != 0):
            raise InputError(
                f"nesterov with momentum {o['momentum']} and dampening {o['dampening']}"
                " where a momentum > 0 and no dampening are right"
            )
