"""Clipping of gradients, which comes first in a chain."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from d2l_jax.errors import InputError


def clip_grad_norm(max_norm: float, norm_type: float = 2.0) -> optax.GradientTransformation:
    """Multiplies all gradients by min(1, max_norm / (norm + 1e-6)) (`torch.nn.utils.clip_grad_norm_`).

    The norm is that of all gradients as a single vector.

    norm_type: the p of the p-norm, above 0; inf takes the largest magnitude

    Raises InputError for any other `norm_type`, or a negative `max_norm`.
    """
    _at_least_0("max_norm", max_norm)
    if not float(norm_type) > 0:
        raise InputError(f"norm_type is {norm_type!r} where a number > 0 or inf is right")
    return _scaled_by(lambda grads: jnp.minimum(max_norm / (total_norm(grads, float(norm_type)) + 1e-6), 1))


def clip_gradients(theta: float) -> optax.GradientTransformation:
    """Multiplies all gradients by theta / norm where their Euclidean norm exceeds theta (book, section 9.5).

    Raises InputError for a negative `theta`.
    """
    _at_least_0("theta", theta)

    def factor(grads: optax.Updates) -> Float[Array, ""]:
        norm = total_norm(grads, 2.0)
        return jnp.where(norm > theta, theta / norm, 1)

    return _scaled_by(factor)


def clip_grad_value(value: float) -> optax.GradientTransformation:
    """Clips every element to [-value, value] (`torch.nn.utils.clip_grad_value_`).

    Raises InputError for a negative `value`.
    """
    _at_least_0("value", value)
    return optax.stateless(lambda grads, params: jax.tree.map(lambda g: jnp.clip(g, -value, value), grads))


def total_norm(grads: optax.Updates, norm_type: float) -> Float[Array, ""]:
    """The p-norm of all elements of a tree of gradients, in their dtype, (); 0 for an empty tree."""
    norms = [_norm(g, norm_type) for g in jax.tree.leaves(grads)]
    return _norm(jnp.stack(norms), norm_type) if norms else jnp.zeros(())


def _norm(x: Float[Array, "*shape"], p: float) -> Float[Array, ""]:
    if math.isinf(p):
        return jnp.max(jnp.abs(x), initial=0)
    if p == 1:
        return jnp.sum(jnp.abs(x))
    return jnp.sqrt(jnp.sum(x * x)) if p == 2 else jnp.sum(jnp.abs(x) ** p) ** (1 / p)


def _scaled_by(factor: Callable[[optax.Updates], Float[Array, ""]]) -> optax.GradientTransformation:
    def scale(grads: optax.Updates, params: Any) -> optax.Updates:
        by = factor(grads)
        return jax.tree.map(lambda g: g * by.astype(g.dtype), grads)

    return optax.stateless(scale)


def _at_least_0(name: str, number: float) -> None:
    if not number >= 0:
        raise InputError(f"{name} is {number!r} where a number >= 0 is right")
