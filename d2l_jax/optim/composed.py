"""Schedules made of schedules: one after the other, or all at once."""

from collections.abc import Sequence
from math import prod

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from d2l_jax.errors import InputError
from d2l_jax.optim.schedules import Rates


def SequentialLR(schedulers: Sequence[optax.Schedule], milestones: Sequence[int]) -> optax.Schedule:
    """Schedules one after the other (`SequentialLR`): each begins at its milestone, from its own count 0.

    Raises InputError where there is not one schedule more than milestones, or these do not rise.
    """
    if len(milestones) != len(schedulers) - 1:
        expected = f"{len(schedulers) - 1} milestones are right" if schedulers else "a schedule at least is right"
        raise InputError(f"{len(schedulers)} schedules with {len(milestones)} milestones where {expected}")
    if list(milestones) != sorted(milestones) or any(m < 0 for m in milestones):
        raise InputError(f"milestones are {list(milestones)} where rising counts are right")

    def schedule(count: ArrayLike) -> Rates:
        count = jnp.asarray(count)
        rate = jnp.asarray(schedulers[0](count))
        for milestone, later in zip(milestones, schedulers[1:], strict=True):
            rate = jnp.where(count < milestone, rate, later(jnp.maximum(count - milestone, 0)))
        return rate

    return schedule


def ChainedScheduler(schedulers: Sequence[optax.Schedule], lr: float) -> optax.Schedule:
    """The product of schedules of one `lr` (`ChainedScheduler`): each multiplies the rate that the others leave.

    The product is PyTorch's for schedules that multiply the rate: `StepLR`, `MultiStepLR`, `ExponentialLR`,
    `ConstantLR`, `LinearLR`, `PolynomialLR`. In PyTorch those that set it, as `LambdaLR`, undo what came before them.
    Raises InputError for no schedule, or an lr that is not positive.
    """
    if not schedulers:
        raise InputError("no schedule to chain where one at least is right")
    if not lr > 0:
        raise InputError(f"lr is {lr!r} where a number > 0 is right")
    return lambda count: lr * prod(schedule(count) / lr for schedule in schedulers)
