"""Schedules that come back: triangles (Smith 2017) and cosines with restarts (Loshchilov and Hutter 2017)."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array

from d2l_jax.errors import InputError
from d2l_jax.optim.schedules import Rates, check, check_positive, cosine, power, share

MODES = ("triangular", "triangular2", "exp_range")
LAST_COUNT = np.iinfo(np.int32).max


def CyclicLR(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[ArrayLike], ArrayLike] | None = None,
    scale_mode: Literal["cycle", "iterations"] = "cycle",
    cycle_momentum: bool = False,
) -> optax.Schedule:
    """A schedule of triangles between base_lr and max_lr (`CyclicLR`; Smith 2017).

    step_size_up, step_size_down: counts of the way up and down; None is as many
    mode:       "triangular2" halves each triangle's height, "exp_range" multiplies it by gamma**count
    scale_fn:   multiplies the height in place of a mode; is traced
    scale_mode: what `scale_fn` is given: the number of the triangle, from 1, or the count

    PyTorch's default also cycles the momentum, down as the rate goes up; a schedule is of one of the two:
    `SGD(CyclicLR(0.1, 0.5, ...), momentum=CyclicLR(0.9, 0.8, ...))`. For the rate alone, pass `cycle_momentum=False` in
    PyTorch.

    Raises InputError for another mode, for counts below 1, and for `cycle_momentum=True`.
    """
    down = step_size_up if step_size_down is None else step_size_down
    check(base_lr=base_lr, max_lr=max_lr, gamma=gamma)
    check_positive(step_size_up=step_size_up, step_size_down=down)
    if mode not in MODES and scale_fn is None:
        raise InputError(f"mode is {mode!r} where one of {', '.join(MODES)} is right")
    if scale_mode not in ("cycle", "iterations"):
        raise InputError(f"scale_mode is {scale_mode!r} where 'cycle' or 'iterations' is right")
    if cycle_momentum:
        raise InputError("cycle_momentum is True where False is right: give SGD a schedule for its momentum, too")
    total = step_size_up + down
    by_cycle = scale_fn is not None and scale_mode == "cycle"

    def schedule(count: ArrayLike) -> Rates:
        count = jnp.asarray(count)
        place = count % total
        height = jnp.where(place <= step_size_up, share(place, step_size_up), share(total - place, down))
        number = count // total + 1
        scale = scale_fn or partial(_scale, mode, gamma, total)
        return base_lr + (max_lr - base_lr) * height * scale(number if by_cycle else count)

    return schedule


def _scale(mode: str, gamma: float, total: int, count: Array) -> ArrayLike:
    """Returns the factor of a triangle's height at a count."""
    if mode == "exp_range":
        return power(gamma, count)
    return power(0.5, count // total) if mode == "triangular2" else 1.0


def CosineAnnealingWarmRestarts(lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> optax.Schedule:
    """A schedule of half cosines from lr to eta_min, each `T_mult` times as long as the one before.

    T_0: counts of the first

    Source: Loshchilov and Hutter 2017. Raises InputError for counts or multiples below 1.
    """
    check(lr=lr, eta_min=eta_min)
    check_positive(T_0=T_0, T_mult=T_mult)
    lengths = [T_0]
    while T_mult > 1 and sum(lengths) + lengths[-1] * T_mult <= LAST_COUNT:
        lengths.append(lengths[-1] * T_mult)
    starts = np.cumsum([0, *lengths[:-1]]).astype(np.int32)

    def schedule(count: ArrayLike) -> Rates:
        count = jnp.asarray(count, starts.dtype)
        number = jnp.searchsorted(starts, count, side="right") - 1
        length = jnp.asarray(lengths, starts.dtype)[number]
        left = length - (count - jnp.asarray(starts)[number]) % length
        return eta_min + (lr - eta_min) * cosine(jnp.asarray(left, float) / jnp.asarray(length, float))

    return schedule
