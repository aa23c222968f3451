"""Times of programs that take turns, on a machine that others may be using."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from parity.bench.usage import Usage, undisturbed

LEAST = 5  # timed calls of each program, of which statistics are made
BLOCK = 2  # timed calls in a block, at least
BLOCK_S = 0.1  # its length, at least
LEAD_IN_S = 0.05


class Stats(NamedTuple):
    """Seconds: median, minimum and interquartile range of `number` calls."""

    median: float
    minimum: float
    iqr: float
    number: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Stats":
        """Returns those of a list of times; the range of a single one is 0."""
        low = 0.0
        high = 0.0
        if len(seconds) > 1:
            low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(statistics.median(seconds), min(seconds), high - low, len(seconds))


class Round(NamedTuple):
    """Every program's times in one turn, and how many CPUs others used meanwhile."""

    times: dict[str, list[float]]
    others: float | None

    @property
    def quiet(self) -> bool:
        return undisturbed(self.others)


class Measurement(NamedTuple):
    """The programs' statistics over the rounds that count.

    others: CPUs that other processes used in the most disturbed of those rounds; None where it cannot be known
    rounds, left_out: how many rounds count, and how many do not because others were busy
    """

    stats: dict[str, Stats]
    others: float | None
    rounds: int
    left_out: int

    @property
    def disturbed(self) -> bool:
        return not undisturbed(self.others)


def take_turns(programs: Mapping[str, Callable[[], object]], *, repeats: int, seconds: float) -> Measurement:
    """Times every program in `repeats` rounds, or in fewer (never under 5 calls) where another would not end in time.

    A round gives each program one block: untimed calls for 0.05 s, in which the other framework's threads
    go to sleep, then timed ones (at least 2, and for at least 0.1 s). The order rotates. Rounds in which
    other processes used more than 5 % of our CPUs do not count, unless the others have under 5 calls:
    chosen by what disturbed them, never by their times. A shared machine is slow for tenths of a second,
    which a single round would take for a program's own.
    """
    start = time.perf_counter()
    rounds = []
    names = list(programs)
    with no_collection():
        while True:
            begun = time.perf_counter()
            rounds.append(_round({name: programs[name] for name in rotated(names, len(rounds))}))
            now = time.perf_counter()
            done = sum(r.quiet for r in rounds) >= repeats
            late = now + (now - begun) > start + seconds and _calls(rounds) >= LEAST
            if done or late:
                return summarize(rounds)


def rotated(names: list[str], turn: int) -> list[str]:
    """The order of a turn: each begins with another program."""
    first = turn % len(names)
    return names[first:] + names[:first]


def _calls(rounds: Sequence[Round]) -> int:
    """Counts the timed calls of the program that had fewest."""
    return min(sum(len(r.times[name]) for r in rounds) for name in rounds[0].times) if rounds else 0


def _round(programs: dict[str, Callable[[], object]]) -> Round:
    before = Usage.now()
    times = {name: _block(program) for name, program in programs.items()}
    return Round(times, Usage.now().others_since(before))


def _block(program: Callable[[], object]) -> list[float]:
    start = time.perf_counter()
    while True:
        program()
        if time.perf_counter() > start + LEAD_IN_S:
            break
    return timed_calls(program, BLOCK, BLOCK_S)


def timed_calls(program: Callable[[], object], number: int, seconds: float) -> list[float]:
    """Returns how long each of some calls takes: at least `number`, and as many as begin within `seconds`."""
    times = []
    start = time.perf_counter()
    while len(times) < number or time.perf_counter() < start + seconds:
        times.append(seconds_of(program))
    return times


def summarize(rounds: Sequence[Round]) -> Measurement:
    """Statistics of the quiet rounds, or of all where these are too few."""
    quiet = [r for r in rounds if r.quiet]
    counted = quiet if _calls(quiet) >= LEAST else list(rounds)
    known = [r.others for r in counted if r.others is not None]
    return Measurement(
        {name: Stats.of([t for r in counted for t in r.times[name]]) for name in counted[0].times},
        max(known, default=None),
        len(counted),
        len(rounds) - len(counted),
    )


def seconds_of(program: Callable[[], object]) -> float:
    """Returns how long one call takes."""
    start = time.perf_counter()
    program()
    return time.perf_counter() - start


@contextmanager
def no_collection() -> Iterator[None]:
    """Runs Python's garbage collector before the block, and not within."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
