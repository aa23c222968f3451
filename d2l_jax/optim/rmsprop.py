"""RMSprop (Tieleman and Hinton 2012)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.sgd import accumulated
from d2l_jax.optim.slots import average, average_square, per_parameter, slot


class RMSpropState(NamedTuple):
    """The state of RMSprop under PyTorch's names.

    step:       number of updates so far, int32
    square_avg: like the parameters, the average of the squared gradient
    """

    step: Int[Array, ""]
    square_avg: Any


class CenteredState(NamedTuple):
    """The state of centered RMSprop: `RMSpropState` and the averages of the gradient.

    grad_avg: the average of the gradient; None for parameters that are not centered
    """

    step: Int[Array, ""]
    square_avg: Any
    grad_avg: Any


def RMSprop(
    lr: Rate = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """RMSprop (`torch.optim.RMSprop`; Tieleman and Hinton 2012; book, 12.8, which has its eps inside the root).

    centered: divides by the standard deviation (Graves 2013)

    The rate applies after the momentum, unlike in `optax.rmsprop`: the two differ once the rate changes.
    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(
        groups,
        lr=lr,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        momentum=momentum,
        centered=centered,
        maximize=maximize,
    )
    return optax.chain(
        maximized(options),
        decayed(options),
        adapted(options),
        accumulated(options.fixed(dampening=0.0, nesterov=False)),
        scaled_by_rate(options),
    )


def scale_by_rmsprop(
    alpha: float = 0.99, eps: float = 1e-8, centered: bool = False, groups: Groups | None = None
) -> optax.GradientTransformation:
    """Scales updates to RMSprop's direction: g / (sqrt(mean square) + eps), or with the variance if `centered`."""
    return adapted(Options(groups, alpha=alpha, eps=eps, centered=centered))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates as `scale_by_rmsprop` does."""
    centered = options.any("centered")

    def init(params: optax.Params) -> RMSpropState | CenteredState:
        state = jnp.zeros((), jnp.int32), slot(params, options)
        return CenteredState(*state, slot(params, options, "centered")) if centered else RMSpropState(*state)

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(o: dict, g: Float[Array, "*shape"], square: Float[Array, "*shape"], *mean: Any) -> tuple:
            square = average_square(square, g, o["alpha"])
            variance = square
            if o["centered"]:
                mean = (average(mean[0], g, o["alpha"]),)
                # Where rounding makes it negative, PyTorch's update is NaN.
                variance = jnp.maximum(square - mean[0] * mean[0], 0)
            return g / (jnp.sqrt(variance) + o["eps"]), square, *mean

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, type(state)(state.step + 1, *slots)

    return transformation(options, update, init)
