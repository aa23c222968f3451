"""Successive halving (book, 19.4)."""

import math
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.search.scheduler import Scheduler, rung_levels
from d2l_jax.search.searcher import Searcher
from d2l_jax.search.space import Config

EPOCHS = "max_epochs"


class SuccessiveHalvingScheduler(Scheduler):
    """Tries many configurations for few epochs, and of each rung the best 1/eta for eta times as many.

    A round has prefact * eta^K configurations at the first of K + 1 rungs; each is trained from scratch at each rung,
    and `max_epochs` in the configuration says for how long. Configurations are taken from the end of the queue, those
    that are promoted come to its front with the best foremost, and when nothing is left, a new round starts.

    Where trials run at the same time, a rung waits for its last one. Raises InputError as `rung_levels` does.
    """

    def __init__(self, searcher: Searcher, eta: int, r_min: int, r_max: int, prefact: int = 1):
        super().__init__(searcher)
        if prefact < 1 or int(prefact) != prefact:
            raise InputError(f"prefact {prefact} starts no round; a whole number above 0 is right")
        self.rung_levels = rung_levels(eta, r_min, r_max)
        self.K = len(self.rung_levels) - 1
        self.sizes = {level: prefact * eta ** (self.K - k) for k, level in enumerate(self.rung_levels)}
        self.queue: list[Config] = []
        self.running: list[Config] = []
        self.observed: dict[int, list[tuple[Config, float]]] = {level: [] for level in self.rung_levels[:-1]}

    def suggest(self) -> Config | None:
        """Returns the end of the queue, which a new round fills where nothing is left and nothing runs."""
        if not self.queue and self.running:
            return None
        if not self.queue:
            first = self.rung_levels[0]
            self.queue = [{**self.searcher.sample_configuration(), EPOCHS: first} for _ in range(self.sizes[first])]
        self.running.append(self.queue.pop())
        return dict(self.running[-1])

    def update(self, config: Config, error: float, info: Any = None) -> None:
        """Promotes the best of a rung, once all of it are observed."""
        super().update(config, error, info)
        if config in self.running:
            self.running.remove(config)
        level = int(config[EPOCHS])
        if level == self.rung_levels[-1]:
            return
        rung = self.observed[level]
        rung.append((config, math.inf if math.isnan(error) else error))
        if len(rung) < self.sizes[level]:
            return
        above = self.rung_levels[self.rung_levels.index(level) + 1]
        best = sorted(rung, key=lambda each: each[1])[: self.sizes[above]]
        self.queue = [{**config, EPOCHS: above} for config, _ in best] + self.queue
        self.observed[level] = []
