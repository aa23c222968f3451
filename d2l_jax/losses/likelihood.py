"""Negative log-likelihoods of counts and of real numbers, and the Kullback-Leibler divergence."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

from d2l_jax.losses.reduction import REDUCTIONS, check_reduction, reduce, refuse, same_shape

Loss = Float[Array, "..."]
Values = Float[Array, "*shape"]


def poisson_nll_loss(
    input: Values,
    target: Values,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Loss:
    """Poisson loss: -log of the probability of the count `target`, without its term log(target!).

    log_input: if True, `input` is the log of the rate; else it is the rate, and `eps` keeps its log finite.
    full:      adds Stirling's formula for log(target!) where target > 1.
    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    loss = jnp.exp(input) - target * input if log_input else input - target * jnp.log(input + eps)
    return reduce(loss + _stirling(target) if full else loss, reduction)


def gaussian_nll_loss(
    input: Values,
    target: Values,
    var: Float[Array, "..."] | float,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Loss:
    """Gaussian loss: -log of the normal density at `target` with mean `input` and variance `var`.

    Source: Nix and Weigend 1994.

    var:  of the shape of `input`, or of that shape without the last axis or with an axis of length 1, or a number.
          Values below `eps` count as `eps`, and the gradient passes through to them.
    full: adds the constant log(2 pi) / 2.
    Raises: ValueError if the shapes do not match or, outside of `jax.jit`, if a variance is negative;
    InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    var = _variance(jnp.asarray(var, input.dtype), input.shape)
    refuse(var < 0, "var must not be negative")
    var = jax.lax.stop_gradient(jnp.maximum(var, eps)) + (var - jax.lax.stop_gradient(var))
    loss = (jnp.log(var) + (input - target) ** 2 / var) / 2
    return reduce(loss + math.log(2 * math.pi) / 2 if full else loss, reduction)


def kl_div(input: Values, target: Values, *, log_target: bool = False, reduction: str = "mean") -> Loss:
    """Kullback-Leibler divergence target * (log target - input) of the model from the target (book, section 22.11).

    input:      log-probabilities of the model
    target:     probabilities, or their logarithms if `log_target`
    reduction:  "batchmean" divides the sum by the length of the first axis, which is the divergence's definition;
                "mean" divides by the number of elements
    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    check_reduction(reduction, (*REDUCTIONS, "batchmean"))
    loss = jnp.exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return jnp.sum(loss) / (len(loss) if loss.ndim else 1)
    return reduce(loss, reduction)


def _stirling(n: Values) -> Values:
    """Stirling's formula n log n - n + log(2 pi n) / 2 for log(n!), and 0 for n <= 1."""
    safe = jnp.where(n > 1, n, 2)
    return jnp.where(n > 1, safe * jnp.log(safe) - safe + jnp.log(2 * math.pi * safe) / 2, 0)


def _variance(var: Array, shape: tuple[int, ...]) -> Array:
    if var.ndim == 0 or var.shape == shape:
        return var
    if var.shape == shape[:-1]:
        return var[..., None]
    differ = [size for size, full in zip(var.shape, shape) if size != full]
    if var.ndim == len(shape) and differ == [1]:
        return var
    raise ValueError(f"var has shape {var.shape}; {shape}, {shape[:-1]} or one axis of length 1 is wanted")
