"""The tuner, one trial after another, and the bookkeeping of any study (book, 19.2)."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from d2l_jax.errors import InputError
from d2l_jax.search.scheduler import Scheduler
from d2l_jax.search.space import Config

# Trains as the configuration says, and reports the error after each epoch: the last one is its result.
Objective = Callable[[Config, Callable[[float], None]], None]


class Point(NamedTuple):
    """A point of the trajectory.

    trial:   whose error was new
    seconds: of the study until then
    error:   the least so far; infinity as long as no trial has reached any
    """

    trial: int
    seconds: float
    error: float


class Bookkeeping:
    """The incumbent, the trajectory and the cumulative runtime of a study."""

    def __init__(self) -> None:
        self.incumbent: Config | None = None
        self.incumbent_error = math.inf
        self.incumbent_trial: int | None = None
        self.incumbent_trajectory: list[Point] = []
        self.cumulative_runtime: list[float] = []

    def record(
        self, config: Config, error: float, runtime: float, seconds: float | None = None, trial: int | None = None
    ) -> None:
        """Enters an error; one that is not finite is never the best.

        runtime: seconds that it took
        seconds: of the study so far; None where one trial runs after another, which is the sum of theirs
        trial:   whose error it is; None is the next
        """
        total = (self.cumulative_runtime[-1] if self.cumulative_runtime else 0.0) + runtime
        number = len(self.cumulative_runtime) if trial is None else trial
        self.cumulative_runtime.append(total)
        if math.isfinite(error) and error < self.incumbent_error:
            self.incumbent, self.incumbent_error, self.incumbent_trial = dict(config), error, number
        self.incumbent_trajectory.append(Point(number, total if seconds is None else seconds, self.incumbent_error))


class Tuner(Bookkeeping):
    """Runs trials in this process, one after another, each to its end."""

    def __init__(self, scheduler: Scheduler, objective: Objective):
        super().__init__()
        self.scheduler = scheduler
        self.objective = objective

    def run(self, number_of_trials: int) -> None:
        """Runs so many further trials. Raises InputError for a trial that reports no error, or whatever it raises."""
        for _ in range(number_of_trials):
            config = self.scheduler.suggest()
            assert config is not None, "nothing runs that there would be to wait for"
            errors: list[float] = []
            start = time.perf_counter()
            self.objective(config, errors.append)
            runtime = time.perf_counter() - start
            if not errors:
                raise InputError("the objective has reported no error; one after each epoch is right")
            self.scheduler.update(config, errors[-1], {"runtime": runtime})
            self.record(config, errors[-1], runtime)
