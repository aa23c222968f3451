"""A rate that falls where a figure improves no more."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.optim.schedules import check


class PlateauState(NamedTuple):
    """The state of ReduceLROnPlateau, under PyTorch's names.

    lr:               the rate now
    best:             the best figure so far; infinite before the first
    num_bad_epochs:   figures since then, int32
    cooldown_counter: figures that are still not counted, int32
    """

    lr: Float[Array, ""]
    best: Float[Array, ""]
    num_bad_epochs: Int[Array, ""]
    cooldown_counter: Int[Array, ""]


class Plateau(NamedTuple):
    """A rate that follows figures: two pure functions.

    init: () -> state
    step: (state, figure) -> state; `SGD(state.lr)` is the optimiser of the next updates
    """

    init: Callable[[], PlateauState]
    step: Callable[[PlateauState, ArrayLike], PlateauState]


def ReduceLROnPlateau(
    lr: float,
    mode: Literal["min", "max"] = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: int = 0,
    min_lr: float = 0.0,
    eps: float = 1e-8,
) -> Plateau:
    """A rate that is multiplied by `factor` after more than `patience` figures without a new best.

    mode:      whether a figure is better where it is smaller or larger
    threshold: by how much, as a share of the best ("rel") or as it is ("abs")
    cooldown:  figures after a change that do not count
    eps:       smaller changes of the rate are left out

    Source: `torch.optim.lr_scheduler.ReduceLROnPlateau`. The share of a negative best makes a worse figure count as
    better, as in PyTorch. `optax.contrib.reduce_on_plateau` counts otherwise.
    Raises InputError for a factor of 1 or above, and for another mode.
    """
    check(lr=lr, min_lr=min_lr)
    if not factor < 1:
        raise InputError(f"factor is {factor!r} where a number below 1 is right")
    better = _better(mode, threshold, threshold_mode)

    def init() -> PlateauState:
        worst = jnp.inf if mode == "min" else -jnp.inf
        return PlateauState(jnp.asarray(lr, float), jnp.asarray(worst, float), *jnp.zeros((2,), jnp.int32))

    def step(state: PlateauState, figure: ArrayLike) -> PlateauState:
        figure = jnp.asarray(figure, float)
        improved = better(figure, state.best)
        bad = jnp.where(improved | (state.cooldown_counter > 0), 0, state.num_bad_epochs + 1)
        reduced = bad > patience
        lower = jnp.maximum(state.lr * factor, min_lr)
        return PlateauState(
            lr=jnp.where(reduced & (state.lr - lower > eps), lower, state.lr),
            best=jnp.where(improved, figure, state.best),
            num_bad_epochs=jnp.where(reduced, 0, bad).astype(jnp.int32),
            cooldown_counter=jnp.where(reduced, cooldown, jnp.maximum(state.cooldown_counter - 1, 0)).astype(jnp.int32),
        )

    return Plateau(init, step)


def _better(mode: str, threshold: float, threshold_mode: str) -> Callable[[Array, Array], Bool[Array, ""]]:
    """Returns (figure, best) -> whether the figure is a new best."""
    if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
        raise InputError(f"mode is {mode!r} of {threshold_mode!r} where min or max, and rel or abs, are right")
    sign = 1.0 if mode == "min" else -1.0

    def better(figure: Float[Array, ""], best: Float[Array, ""]) -> Bool[Array, ""]:
        goal = best * (1 - sign * threshold) if threshold_mode == "rel" else best - sign * threshold
        return sign * figure < sign * goal

    return better
