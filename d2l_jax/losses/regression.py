"""Losses between real numbers: L1, squared, Huber and smooth L1 (book, sections 3.1 and 14.7)."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.losses.absolute import absolute
from d2l_jax.losses.reduction import reduce, same_shape

Values = Float[Array, "*shape"]
Loss = Float[Array, "..."]


def l1_loss(input: Values, target: Values, *, weight: Values | None = None, reduction: str = "mean") -> Loss:
    """Absolute error |input - target|, with slope 0 at 0; with `weight`, "mean" divides by the sum of the weights.

    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    return _weighted(absolute(input - target), weight, reduction)


def mse_loss(input: Values, target: Values, *, weight: Values | None = None, reduction: str = "mean") -> Loss:
    """Squared error (input - target)**2, without 1/2; with `weight`, "mean" divides by the sum of the weights.

    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    return _weighted((input - target) ** 2, weight, reduction)


def huber_loss(
    input: Values, target: Values, *, delta: float = 1.0, weight: Values | None = None, reduction: str = "mean"
) -> Loss:
    """Huber's loss: half the squared error up to `delta`, then a line of slope `delta` (Huber 1964).

    With `weight`, "mean" still divides by the number of elements, unlike in `l1_loss` and `mse_loss`.
    Raises: ValueError if the shapes differ or delta <= 0, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    if delta <= 0:
        raise ValueError(f"delta must be greater than 0, got {delta}")
    loss = optax.huber_loss(input, target, delta=delta)
    if weight is not None:
        same_shape(input=input, weight=weight)
        loss = loss * weight
    return reduce(loss, reduction)


def smooth_l1_loss(input: Values, target: Values, *, beta: float = 1.0, reduction: str = "mean") -> Loss:
    """Smooth L1 loss: a parabola up to `beta`, then a line of slope 1 (Girshick 2015; book, section 14.7).

    The loss is `huber_loss` divided by `beta`; beta = 0 gives `l1_loss`.

    Raises: ValueError if the shapes differ or beta < 0, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    if beta < 0:
        raise ValueError(f"beta must not be negative, got {beta}")
    distance = absolute(input - target)
    if beta == 0:
        return reduce(distance, reduction)
    return reduce(jnp.where(distance < beta, distance**2 / (2 * beta), distance - beta / 2), reduction)


def _weighted(loss: Values, weight: Values | None, reduction: str) -> Loss:
    if weight is None:
        return reduce(loss, reduction)
    same_shape(input=loss, weight=weight)
    return reduce(loss * weight, reduction, jnp.sum(weight))
