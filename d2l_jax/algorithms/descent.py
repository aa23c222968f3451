"""Descent on functions of few numbers, step by step: the paths of chapter 12."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

Function = Callable[[Float[Array, "*shape"]], Float[Array, ""]]


def descend(
    f: Function,
    optimizer: optax.GradientTransformation,
    start: ArrayLike | Sequence[float],
    steps: int = 20,
    noise: Float[Array, "steps *shape"] | None = None,
) -> Float[Array, "steps+1 *shape"]:
    """Returns the path of an optimiser of `d2l_jax.optim`, from `start` on (sections 12.3 to 12.9).

    noise: is added to the gradients (section 12.4)

    A rate that is too large is followed as far as it leads: 1.1 on `parabola` away from the minimum.
    """
    first = jnp.asarray(start, float)
    noises = jnp.zeros((steps, *first.shape), first.dtype) if noise is None else noise

    def step(carry: tuple[Array, Any], disturbance: Array) -> tuple[tuple[Array, Any], Array]:
        x, state = carry
        updates, state = optimizer.update(jax.grad(f)(x) + disturbance, state, x)
        x = x + jnp.asarray(updates)
        return (x, state), x

    _, path = jax.lax.scan(step, (first, optimizer.init(first)), noises)
    return jnp.concatenate([first[None], path])


def newton(
    f: Function, start: ArrayLike | Sequence[float], steps: int = 10, eta: float = 1.0
) -> Float[Array, "steps+1 *shape"]:
    """Returns the path of Newton's method with steps of length `eta` (section 12.3).

    The method goes uphill where `f` is concave, as `wave` is in places.
    """
    first = jnp.asarray(start, float)

    def step(x: Array, _: None) -> tuple[Array, Array]:
        hessian = jax.hessian(f)(x).reshape(x.size, x.size)
        x = x - eta * jnp.linalg.solve(hessian, jax.grad(f)(x).reshape(-1)).reshape(x.shape)
        return x, x

    _, path = jax.lax.scan(step, first, length=steps)
    return jnp.concatenate([first[None], path])


def parabola(x: Float[Array, ""]) -> Float[Array, ""]:
    """The square of a number (section 12.3)."""
    return x * x


def wave(x: Float[Array, ""]) -> Float[Array, ""]:
    """x cos(0.15 pi x), which has several minima (section 12.3)."""
    return x * jnp.cos(0.15 * math.pi * x)


def catenary(x: Float[Array, ""]) -> Float[Array, ""]:
    """cosh(x / 2), which is convex (section 12.3)."""
    return jnp.cosh(0.5 * x)


def bowl(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """x1^2 + 2 x2^2 (sections 12.3 and 12.4)."""
    return x[0] ** 2 + 2 * x[1] ** 2


def gorge(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """0.1 x1^2 + 2 x2^2, flat one way and steep the other (sections 12.6 to 12.8)."""
    return 0.1 * x[0] ** 2 + 2 * x[1] ** 2
