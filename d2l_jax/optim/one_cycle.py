"""The one-cycle policy (Smith and Topin 2018)."""

from typing import Literal

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from d2l_jax.errors import InputError
from d2l_jax.optim.schedules import Rates, cosine

Segment = tuple[float, float, float, float]  # first count, last count, rate at the first, rate at the last


def OneCycleLR(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = False,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> optax.Schedule:
    """A schedule up from max_lr / div_factor to max_lr, then down (`OneCycleLR`; Smith and Topin 2018).

    The last rate is max_lr / div_factor / final_div_factor.

    total_steps: the number of counts; None takes epochs * steps_per_epoch
    pct_start:   share of the counts at which the rate goes up
    three_phase: first goes down to max_lr / div_factor, in as many counts as it went up

    PyTorch's default also cycles the momentum, between 0.95 and 0.85; a schedule is of one of the two, and
    `SGD(momentum=OneCycleLR(0.85, total_steps, div_factor=0.85 / 0.95, final_div_factor=1.0))` is that of the other.
    For the rate alone, pass `cycle_momentum=False` in PyTorch. Its scheduler raises after the last step; a schedule
    gives the last rate forever.

    Raises InputError as PyTorch does, and for `cycle_momentum=True`.
    """
    total = _total(total_steps, epochs, steps_per_epoch)
    if not 0 <= pct_start <= 1:
        raise InputError(f"pct_start is {pct_start!r} where a number in [0, 1] is right")
    if anneal_strategy not in ("cos", "linear"):
        raise InputError(f"anneal_strategy is {anneal_strategy!r} where 'cos' or 'linear' is right")
    if cycle_momentum:
        raise InputError("cycle_momentum is True where False is right: give SGD a schedule for its momentum, too")
    if not (max_lr >= 0 and div_factor > 0 and final_div_factor > 0):
        values = f"max_lr {max_lr}, div_factor {div_factor}, final_div_factor {final_div_factor}"
        raise InputError(f"{values} where max_lr >= 0 and factors > 0 are right")
    phases = _phases(max_lr, total, pct_start, div_factor, final_div_factor, three_phase)

    def schedule(count: ArrayLike) -> Rates:
        step = jnp.asarray(jnp.minimum(jnp.asarray(count), total - 1), float)
        rates = [_anneal(step, phase, anneal_strategy) for phase in phases]
        return jnp.select([step <= last for _, last, _, _ in phases[:-1]], rates[:-1], rates[-1])

    return schedule


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    total = epochs * steps_per_epoch if total_steps is None and epochs and steps_per_epoch else total_steps
    if total is None:
        raise InputError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
    if total < 1 or total != int(total):
        raise InputError(f"total_steps is {total!r} where a positive whole number is right")
    return int(total)


def _phases(
    max_lr: float, total: int, pct_start: float, div_factor: float, final_div_factor: float, three_phase: bool
) -> list[Segment]:
    first = max_lr / div_factor
    low = first / final_div_factor
    top = pct_start * total - 1
    if top == 0:
        raise InputError("pct_start * total_steps is 1 where another number is right: no count lies between 0 and 0")
    if not three_phase:
        return [(0.0, top, first, max_lr), (top, total - 1.0, max_lr, low)]
    down = 2 * pct_start * total - 2
    return [(0.0, top, first, max_lr), (top, down, max_lr, first), (down, total - 1.0, first, low)]


def _anneal(step: Rates, phase: Segment, strategy: str) -> Rates:
    begin, end, start, stop = phase
    left = (end - step) / ((end - begin) or 1.0)  # an empty phase holds no count
    return stop + (start - stop) * (cosine(left) if strategy == "cos" else left)
