"""The schedulers that the book writes by hand (section 12.11), and the counts at which its training loop reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from d2l_jax.errors import InputError
from d2l_jax.optim.schedules import Rates, cosine, power, share


def SquareRootScheduler(lr: float = 0.1) -> optax.Schedule:
    """The schedule lr / sqrt(count + 1) (book, section 12.11)."""
    return lambda count: lr / jnp.sqrt(jnp.asarray(count, float) + 1)


def exponential_factor(count: ArrayLike) -> Rates:
    """The factor exp(-0.1 (count + 2)) of section 12.4, whose counter starts at 1 and grows before it is read."""
    return jnp.exp(-0.1 * (jnp.asarray(count, float) + 2))


def polynomial_factor(count: ArrayLike) -> Rates:
    """The factor 1 / sqrt(1 + 0.1 (count + 2)) of section 12.4; see `exponential_factor`."""
    return 1 / jnp.sqrt(1 + 0.1 * (jnp.asarray(count, float) + 2))


def FactorScheduler(
    factor: float = 1.0, stop_factor_lr: float = 1e-7, base_lr: float = 0.1, second_edition: bool = False
) -> optax.Schedule:
    """The schedule max(stop_factor_lr, base_lr * factor**(count + 1)) (book, section 12.11).

    The first count multiplies already, unlike in the second edition (section 9.8).
    Raises InputError for a factor outside [0, 1].
    """
    if not 0 <= factor <= 1:
        raise InputError(f"factor is {factor!r} where a number in [0, 1] is right")
    first = 0 if second_edition else 1
    return lambda count: jnp.maximum(stop_factor_lr, base_lr * power(factor, jnp.asarray(count) + first))


def CosineScheduler(
    max_update: int,
    base_lr: float = 0.01,
    final_lr: float = 0.0,
    warmup_steps: int = 0,
    warmup_begin_lr: float = 0.0,
    warmup_mode: Literal["linear", "constant"] = "linear",
    second_edition: bool = False,
) -> optax.Schedule:
    """A schedule of a warm-up, half a cosine from base_lr to final_lr at `max_update`, and a constant (book, 12.11).

    warmup_steps: counts of the warm-up
    warmup_mode:  "linear", from warmup_begin_lr to base_lr, or "constant", at warmup_begin_lr
    second_edition: the warm-up's first count has gone a step already, and its last is base_lr (section 9.8)

    Raises InputError for another mode, or a max_update that is not above warmup_steps.
    """
    if warmup_mode not in ("linear", "constant"):
        raise InputError(f"warmup_mode is {warmup_mode!r} where 'linear' or 'constant' is right")
    if not 0 <= warmup_steps < max_update:
        raise InputError(f"warmup_steps is {warmup_steps} where 0 to max_update - 1 = {max_update - 1} is right")

    def schedule(count: ArrayLike) -> Rates:
        step = jnp.minimum(jnp.asarray(count), max_update)
        rise = share(step + int(second_edition), max(warmup_steps, 1)) if warmup_mode == "linear" else 0.0
        warm = warmup_begin_lr + (base_lr - warmup_begin_lr) * rise
        rate = final_lr + (base_lr - final_lr) * cosine(share(max_update - step, max_update - warmup_steps))
        return jnp.where(step < warmup_steps, warm, rate)

    return schedule


def WSDScheduler(
    max_update: int, decay_steps: int, base_lr: float = 0.01, final_lr: float = 0.0, warmup_steps: int = 0
) -> optax.Schedule:
    """A schedule of a warm-up, a plateau and a linear fall to final_lr at max_update - 1 (second edition, 9.8).

    Raises InputError where warm-up and fall do not fit, or for a fall of no counts, by which the book would divide.
    """
    if not (decay_steps >= 1 and warmup_steps >= 0 and warmup_steps + decay_steps <= max_update):
        counts = f"warmup_steps {warmup_steps} and decay_steps {decay_steps} in {max_update} counts"
        raise InputError(f"{counts} where at least 0 and 1, and together no more than all, are right")

    def schedule(count: ArrayLike) -> Rates:
        step = jnp.asarray(count)
        warm = base_lr * share(step + 1, max(warmup_steps, 1))
        fallen = share(jnp.clip(step + 1 - (max_update - decay_steps), 0, decay_steps), decay_steps)
        return jnp.where(step < warmup_steps, warm, base_lr + (final_lr - base_lr) * fallen)

    return schedule


def by_epoch(updates: int, schedule: optax.Schedule) -> optax.Schedule:
    """The `schedule` read with the number of the epoch, for epochs of so many `updates`; InputError for less than 1."""
    if updates < 1:
        raise InputError(f"an epoch of {updates} updates where at least 1 is right")
    return lambda count: schedule(jnp.asarray(count) // updates)


def one_late(lr: float, schedule: optax.Schedule) -> optax.Schedule:
    """The schedule `lr` at count 0, then `schedule(count - 1)`: the book sets the rate of an epoch after that epoch."""

    def late(count: ArrayLike) -> Rates:
        count = jnp.asarray(count)
        return jnp.where(count == 0, lr, schedule(jnp.maximum(count - 1, 0)))

    return late


@dataclass(frozen=True)
class ByEpoch:
    """A rate for each epoch: a schedule of updates whose settings can be read and compared (section 12.11).

    make:    a `partial` of a factory of schedules, or the factory
    first:   the rate of epoch 0, after which the schedule is one epoch late, as in the book; None is without that lag
    updates: updates of an epoch; a run sets it to those that its data has
    """

    make: Callable[[], optax.Schedule]
    first: float | None = None
    updates: int = 235

    def __call__(self, count: ArrayLike) -> Rates:
        """Returns the rate of the update with that count."""
        schedule = self.make() if self.first is None else one_late(self.first, self.make())
        return jnp.asarray(by_epoch(self.updates, schedule)(count))

    def __str__(self) -> str:
        """The schedule, and how it is read, in words."""
        arguments = [*map(str, getattr(self.make, "args", ()))]
        arguments += [f"{name}={value}" for name, value in getattr(self.make, "keywords", {}).items()]
        name = getattr(self.make, "func", self.make).__name__
        late = "" if self.first is None else f", one late after {self.first}"
        return f"{name}({', '.join(arguments)}) by epochs of {self.updates} updates{late}"
