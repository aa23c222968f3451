"""Schedulers: which configuration is tried next, for how long, and which trial is stopped (book, 19.2 and 19.5)."""

import math
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.search.searcher import Searcher
from d2l_jax.search.space import Config


class Scheduler:
    """Decides over trials. This one runs each to its end, and a subclass changes one of the decisions.

    A study that is taken up tells a new scheduler all that the journal holds, in the same order.
    """

    def __init__(self, searcher: Searcher):
        self.searcher = searcher

    def suggest(self) -> Config | None:
        """Returns the next configuration; None while there is none before a running trial ends."""
        return self.searcher.sample_configuration()

    def goes_on(self, trial: int, epoch: int, error: float) -> bool:
        """Hears the error of a running trial after an epoch, and tells whether it goes on."""
        return True

    def update(self, config: Config, error: float, info: Any = None) -> None:
        """Is told that a trial has ended, and its error: infinity where it reached none."""
        self.searcher.update(config, error, additional_info=info)


class BasicScheduler(Scheduler):
    """Runs every configuration of the searcher to its end: random search, if the searcher is random."""


class AshaScheduler(Scheduler):
    """Asynchronous successive halving: a trial that at a rung is not among the best so far is stopped.

    eta:   the best 1/eta of those that have reached a rung go on, whoever is still to come
    r_min: epochs before the first rung (the grace period)
    r_max: epochs after which a trial is at its end

    Fewer than `eta` at a rung all go on. Raises InputError where the rungs are none.
    """

    def __init__(self, searcher: Searcher, eta: int = 2, r_min: int = 1, r_max: int = 10):
        super().__init__(searcher)
        self.eta = eta
        self.rungs: dict[int, dict[int, float]] = {rung: {} for rung in rung_levels(eta, r_min, r_max)[:-1]}

    def goes_on(self, trial: int, epoch: int, error: float) -> bool:
        """Compares with those at the same rung."""
        if epoch not in self.rungs:
            return True
        rung = self.rungs[epoch]
        rung[trial] = error if math.isfinite(error) else math.inf  # by trial: one that is repeated counts once
        if len(rung) < self.eta:
            return True
        return error <= sorted(rung.values())[len(rung) // self.eta - 1]


def rung_levels(eta: int, r_min: int, r_max: int) -> list[int]:
    """Returns the epochs r_min * eta^k that are below r_max, and r_max (book, 19.4).

    Raises InputError for whole numbers other than eta > 1 and 0 < r_min < r_max.
    """
    if not (eta > 1 and 0 < r_min < r_max) or any(int(each) != each for each in (eta, r_min, r_max)):
        raise InputError(
            f"eta {eta}, r_min {r_min} and r_max {r_max} give no rungs; whole numbers with eta > 1"
            " and 0 < r_min < r_max are right"
        )
    levels = [r_min]
    while levels[-1] * eta < r_max:  # not by logarithms: log(243) / log(3) is below 5
        levels.append(levels[-1] * eta)
    return [*levels, r_max]
