"""`torch.optim.lr_scheduler` as Optax schedules: pure functions of a count.

Where PyTorch takes the optimiser, these take its `lr`; `scheduler.step()` is the count's next value. The count is of
updates; for PyTorch's habit of one `scheduler.step()` an epoch: `by_epoch(batches, StepLR(...))`.
A schedule takes an int32 array of any shape (or an int), traced or not, and returns the rates in the default
float dtype. The formulas are not recursive; PyTorch's recursions agree with them to rounding.
"""

import math
from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError

Rates = Float[Array, "*shape"]


def LambdaLR(lr: float, lr_lambda: Callable[[ArrayLike], ArrayLike]) -> optax.Schedule:
    """The schedule lr * lr_lambda(count); `lr_lambda` is traced, so use jnp.where, not if."""
    check(lr=lr)
    return lambda count: lr * jnp.asarray(lr_lambda(count), float)


def StepLR(lr: float, step_size: int, gamma: float = 0.1) -> optax.Schedule:
    """A schedule that multiplies the rate by gamma at every `step_size`-th count; InputError for one below 1."""
    check(lr=lr, gamma=gamma)
    check_positive(step_size=step_size)
    return lambda count: lr * power(gamma, jnp.asarray(count) // step_size)


def MultiStepLR(lr: float, milestones: Iterable[int], gamma: float = 0.1) -> optax.Schedule:
    """A schedule that multiplies the rate by gamma at each milestone (the book's multi-factor scheduler, 12.11)."""
    check(lr=lr, gamma=gamma)
    reached = np.sort(np.asarray(list(milestones), np.int32))
    rates = np.asarray([lr * gamma**k for k in range(len(reached) + 1)])

    def schedule(count: ArrayLike) -> Rates:
        return jnp.asarray(rates, float)[jnp.searchsorted(reached, jnp.asarray(count, reached.dtype), side="right")]

    return schedule


def ExponentialLR(lr: float, gamma: float) -> optax.Schedule:
    """The schedule lr * gamma**count."""
    check(lr=lr, gamma=gamma)
    return lambda count: lr * power(gamma, jnp.asarray(count))


def LinearLR(lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> optax.Schedule:
    """A linear schedule from lr * start_factor to lr * end_factor in `total_iters` counts, then constant.

    Raises InputError as PyTorch does: start_factor in (0, 1], end_factor in [0, 1].
    """
    check(lr=lr)
    check_positive(total_iters=total_iters)
    if not (0 < start_factor <= 1 and 0 <= end_factor <= 1):
        raise InputError(f"factors {start_factor} to {end_factor} where numbers in (0, 1] and in [0, 1] are right")

    def schedule(count: ArrayLike) -> Rates:
        done = share(jnp.minimum(jnp.asarray(count), total_iters), total_iters)
        return lr * (start_factor + (end_factor - start_factor) * done)

    return schedule


def ConstantLR(lr: float, factor: float = 1 / 3, total_iters: int = 5) -> optax.Schedule:
    """A schedule of lr * factor for `total_iters` counts, then of lr; InputError for a factor outside [0, 1]."""
    check(lr=lr)
    if not 0 <= factor <= 1:
        raise InputError(f"factor is {factor!r} where a number in [0, 1] is right")
    return lambda count: lr * jnp.where(jnp.asarray(count) < total_iters, jnp.asarray(factor, float), 1.0)


def PolynomialLR(lr: float, total_iters: int = 5, power: float = 1.0) -> optax.Schedule:
    """The schedule lr * (1 - count / total_iters)**power, then 0; InputError for a `total_iters` below 1."""
    check(lr=lr, power=power)
    check_positive(total_iters=total_iters)

    def schedule(count: ArrayLike) -> Rates:
        return lr * share(total_iters - jnp.minimum(jnp.asarray(count), total_iters), total_iters) ** power

    return schedule


def CosineAnnealingLR(lr: float, T_max: int, eta_min: float = 0.0) -> optax.Schedule:
    """A cosine schedule from lr to eta_min in T_max counts, and back in as many, without restarts.

    Source: Loshchilov and Hutter 2017. Raises InputError for a T_max below 1.
    """
    check(lr=lr, eta_min=eta_min)
    check_positive(T_max=T_max)

    def schedule(count: ArrayLike) -> Rates:
        return eta_min + (lr - eta_min) * cosine(share(T_max - jnp.asarray(count) % (2 * T_max), T_max))

    return schedule


def share(count: Int[Array, "*shape"], whole: int) -> Float[Array, "*shape"]:
    """The quotient count / whole in the default float dtype; JAX's quotient of int32 is always float32."""
    return jnp.asarray(count, float) / whole


def cosine(left: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Half a cosine, (1 + cos(pi (1 - left))) / 2, from 1 at left = 1 to 0 at left = 0, where 1 + cos would cancel."""
    return jnp.sin(math.pi / 2 * left) ** 2


def power(base: float, exponent: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The power base**exponent for base >= 0, without a rounding of base to float32, whose error would grow."""
    if base == 0:
        return jnp.where(exponent == 0, 1.0, 0.0)
    return jnp.exp(jnp.asarray(exponent, float) * math.log(base))


def check(**numbers: float) -> None:
    """Raises InputError for a negative number."""
    for name, number in numbers.items():
        if not number >= 0:
            raise InputError(f"{name} is {number!r} where a number >= 0 is right")


def check_positive(**counts: int) -> None:
    """Raises InputError for what is no positive whole number."""
    for name, count in counts.items():
        if count < 1 or count != int(count):
            raise InputError(f"{name} is {count!r} where a positive whole number is right")
