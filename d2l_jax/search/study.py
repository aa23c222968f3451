"""A study: trials in parallel processes, under a scheduler, with a journal (book, 19.3 and 19.5)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from d2l_jax.errors import InputError
from d2l_jax.search.journal import Event, Journal
from d2l_jax.search.scheduler import Scheduler
from d2l_jax.search.space import Config
from d2l_jax.search.trial_process import TrialProcess
from d2l_jax.search.tuner import Bookkeeping, Objective

COMPLETED = "completed"
STOPPED = "stopped"  # by the scheduler, or because time was over
DIVERGED = "diverged"  # its error was not finite
FAILED = "failed"  # it raised, or its process died


@dataclass
class Trial:
    """What a trial has done.

    errors: after each epoch, of the last time that it was run
    ended:  "completed", "stopped", "diverged" or "failed"; "" while it runs
    why:    of one that failed
    """

    number: int
    config: Config
    errors: list[float] = field(default_factory=list)
    ended: str = ""
    why: str = ""

    @property
    def error(self) -> float:
        """The last error; infinity of one that reached none."""
        return self.errors[-1] if self.errors and self.ended in (COMPLETED, STOPPED) else math.inf


class Study(Bookkeeping):
    """Runs trials in `workers` processes at a time.

    A trial that the scheduler stops is ended with its process; one that dies or reports NaN is recorded, and the study
    goes on. What a journal holds is taken up: trials that had not ended are run again, from the start. The trajectory
    is that of the errors after each epoch, of any trial.

    Raises InputError for fewer than one worker, and for a journal that the scheduler would not have written.
    """

    def __init__(self, scheduler: Scheduler, objective: Objective, journal: Journal, workers: int = 1):
        super().__init__()
        if workers < 1:
            raise InputError(f"{workers} workers are too few; 1 or more is right")
        self.scheduler = scheduler
        self.objective = objective
        self.journal = journal
        self.workers = workers
        self.trials: list[Trial] = []
        self.seconds = 0.0  # of the study, those before it was taken up included
        self._told: dict[int, float] = {}  # when a running trial was heard of last
        for line, event in enumerate(journal.events[1:], 2):
            try:
                self._repeat(event)
                self._enter(event)
            except (LookupError, TypeError) as error:
                raise InputError(
                    f"{journal.path}, line {line}, is no event of a study that stands there: {event}; a study of"
                    " another --out is right"
                ) from error

    def run(
        self, trials: int, seconds: float = math.inf, hear: Callable[[Event, "Study"], None] = lambda event, study: None
    ) -> None:
        """Runs until there are so many trials, or the study has taken so long.

        hear: is told of each event after it is in the journal
        """
        before = time.monotonic() - self.seconds
        running: dict[int, TrialProcess] = {}
        again = [trial for trial in self.trials if not trial.ended]

        def tell(event: Event) -> None:
            self.seconds = time.monotonic() - before
            event = {**event, "at": round(self.seconds, 3)}
            self.journal.write(event)
            self._enter(event)
            hear(event, self)

        try:
            while True:
                left = before + seconds - time.monotonic()
                while left > 0 and len(running) < self.workers and (trial := self._next(again, trials, tell)):
                    place = min(set(range(self.workers)) - running.keys())
                    running[place] = TrialProcess(self.objective, trial.number, trial.config, place, self.workers)
                if not running:
                    return
                connections = [each.connection for each in running.values()]
                ready = wait(connections, None if left == math.inf else left) if left > 0 else []
                for process in list(running.values()):
                    if not ready:
                        self._end(process.number, STOPPED, "time is over", tell)
                    elif process.connection in ready:
                        self._listen(process, tell)
                    if self.trials[process.number].ended:
                        running.pop(process.place).end()
                if not ready:
                    return
        finally:
            for process in running.values():
                process.end()

    def _next(self, again: list[Trial], trials: int, tell: Callable[[Event], None]) -> Trial | None:
        if again:
            tell({"trial": again[0].number, "again": True})
            return again.pop(0)
        config = self.scheduler.suggest() if len(self.trials) < trials else None
        if config is None:
            return None
        tell({"trial": len(self.trials), "config": config})
        return self.trials[-1]

    def _listen(self, process: TrialProcess, tell: Callable[[Event], None]) -> None:
        kind, value = process.news()
        number = process.number
        if kind != "error":
            if kind == COMPLETED and not self.trials[number].errors:
                kind, value = FAILED, "it has reported no error"
            self._end(number, kind, value, tell)
            return
        epoch = len(self.trials[number].errors) + 1
        tell({"trial": number, "epoch": epoch, "error": value if math.isfinite(value) else None})
        goes_on = self.scheduler.goes_on(number, epoch, value)
        if not math.isfinite(value):
            self._end(number, DIVERGED, "", tell)
        elif not goes_on:
            self._end(number, STOPPED, "", tell)

    def _end(self, number: int, ended: str, why: str, tell: Callable[[Event], None]) -> None:
        tell({"trial": number, "ended": ended, **({"why": why} if why else {})})
        self._update(number)

    def _update(self, number: int) -> None:
        trial = self.trials[number]
        self.scheduler.update(trial.config, trial.error, {"trial": number, "ended": trial.ended})

    def _repeat(self, event: Event) -> None:
        """Tells the scheduler what it had been told before, up to the end of a trial."""
        if "config" in event:
            suggested = self.scheduler.suggest()
            if suggested != event["config"]:
                raise InputError(
                    f"trial {event['trial']} of the journal is {event['config']}, where the scheduler suggests"
                    f" {suggested}; the journal of this version and this study is right"
                )
        elif "epoch" in event:
            error = event["error"]
            self.scheduler.goes_on(event["trial"], event["epoch"], math.nan if error is None else error)
        elif "ended" in event:
            trial = self.trials[event["trial"]]
            trial.ended = event["ended"]
            self._update(trial.number)

    def _enter(self, event: Event) -> None:
        """Keeps the books."""
        number, at = event["trial"], event["at"]
        if "config" in event:
            self.trials.append(Trial(number, event["config"]))
        trial = self.trials[number]
        if "again" in event:
            trial.errors = []
        elif "epoch" in event:
            error = math.nan if event["error"] is None else event["error"]
            trial.errors.append(error)
            self.record(trial.config, error, at - self._told[number], at, number)
        elif "ended" in event:
            trial.ended, trial.why = event["ended"], event.get("why", "")
        self._told[number] = at
        self.seconds = at
