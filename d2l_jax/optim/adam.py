"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.optim.bias import one_minus_power
from d2l_jax.optim.gradient import decayed, maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, scaled_by_rate
from d2l_jax.optim.slots import average, average_square, per_parameter, slot


class AdamState(NamedTuple):
    """The state of Adam under PyTorch's names.

    step:       number of updates so far, int32
    exp_avg:    like the parameters, the average of the gradient
    exp_avg_sq: like the parameters, the average of the squared gradient
    """

    step: Int[Array, ""]
    exp_avg: Any
    exp_avg_sq: Any


class AMSGradState(NamedTuple):
    """The state of Adam with amsgrad: `AdamState` and the largest squares.

    max_exp_avg_sq: the largest exp_avg_sq so far; None for parameters without amsgrad
    """

    step: Int[Array, ""]
    exp_avg: Any
    exp_avg_sq: Any
    max_exp_avg_sq: Any


def Adam(
    lr: Rate = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adam (`torch.optim.Adam`; Kingma and Ba 2015; book, 12.10); weight decay is an L2 term in the gradient.

    amsgrad: divides by the largest mean square so far (Reddi et al. 2018)

    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = _options(groups, lr, betas, eps, weight_decay, amsgrad, maximize)
    return optax.chain(maximized(options), decayed(options), adapted(options), scaled_by_rate(options))


def AdamW(
    lr: Rate = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (`torch.optim.AdamW`; Loshchilov and Hutter 2019).

    Biases decay too, as in PyTorch. Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = _options(groups, lr, betas, eps, weight_decay, amsgrad, maximize)
    return optax.chain(maximized(options), adapted(options), decayed(options), scaled_by_rate(options))


def _options(
    groups: Groups | None,
    lr: Rate,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> Options:
    return Options(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize)


def scale_by_adam(
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Scales updates to Adam's direction: mean / (sqrt(mean square) + eps), both corrected for their start at 0.

    `optax.scale_by_adam` forms 1 - beta**count in float32, which loses four digits where beta is near 1;
    PyTorch computes it in float64. Here expm1 preserves the digits.
    """
    return adapted(Options(groups, betas=betas, eps=eps, amsgrad=amsgrad))


def adapted(options: Options) -> optax.GradientTransformation:
    """Scales updates as `scale_by_adam` does."""
    amsgrad = options.any("amsgrad")

    def init(params: optax.Params) -> AdamState | AMSGradState:
        state = jnp.zeros((), jnp.int32), slot(params, options), slot(params, options)
        return AMSGradState(*state, slot(params, options, "amsgrad")) if amsgrad else AdamState(*state)

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        step = state.step + 1

        def rule(
            o: dict, g: Float[Array, "*shape"], m: Float[Array, "*shape"], v: Float[Array, "*shape"], *largest: Any
        ) -> tuple:
            m = average(m, g, o["betas"][0])
            v = average_square(v, g, o["betas"][1])
            if o["amsgrad"]:
                largest = (jnp.maximum(largest[0], v),)
            corrections = [one_minus_power(beta, step, g.dtype) for beta in o["betas"]]
            root = jnp.sqrt(largest[0] if o["amsgrad"] else v) / jnp.sqrt(corrections[1])
            return m / corrections[0] / (root + o["eps"]), m, v, *largest

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, type(state)(step, *slots)

    return transformation(options, update, init)
