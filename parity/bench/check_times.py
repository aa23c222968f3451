"""How long a check takes, by part and work, and its memory: each check in a fresh process."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial

import jax

from d2l_jax.case import Case
from d2l_jax.catalog import get
from parity.bench.memory import forget_peak, peak
from parity.bench.stopwatch import Span, Stopwatch
from parity.bench.usage import Usage
from parity.bench.watched import watching
from parity.processes import processes
from parity.proof.cases import check_case
from parity.result import Result

FIRST = "linear-regression"  # what is checked untimed: frameworks load much at their first step
Check = Callable[[], Result]
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class CheckTime:
    """The time and the memory of one check.

    status:    of its result
    seconds:   by part and work
    elsewhere: seconds of tracing and compiling in other threads
    before:    bytes that the process had before the check
    peak:      the most that it had meanwhile
    others:    CPUs that other processes kept busy
    """

    name: str
    status: str
    params: int = 0
    seconds: dict[Span, float] = field(default_factory=dict)
    elsewhere: float = 0.0
    before: int = 0
    peak: int = 0
    others: float | None = None
    error: str = ""

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def of(self, part: str = "", work: str = "") -> float:
        """Returns the seconds of a part, of a kind of work, or of both."""
        return sum(s for span, s in self.seconds.items() if part in ("", span.part) and work in ("", span.work))


def check_times(cases: Sequence[Case], progress: Progress = lambda name, stage: None) -> list[CheckTime]:
    """Checks the cases as `parity check` does, one after the other."""
    times: list[CheckTime] = []
    for number, case in enumerate(cases, 1):
        progress(case.name, f"checking, {number} of {len(cases)}")
        times.append(in_fresh_process(case.name, partial(_ready, case)))
    return times


def _ready(case: Case) -> Check:
    return partial(check_case, case)


def in_fresh_process(name: str, ready: Callable[[], Check]) -> CheckTime:
    """Returns the time of a check in a process that has done nothing but a check of a line before.

    ready: returns the check; its own time does not count
    """
    with processes(1) as pool:
        try:
            return pool.submit(_in_this_process, name, ready).result()
        except BrokenProcessPool:  # for want of memory, as a rule
            return CheckTime(
                name, "error", error="the process was killed; it may have needed more memory than there is"
            )


def _in_this_process(name: str, ready: Callable[[], Check]) -> CheckTime:
    jax.config.update("jax_enable_compilation_cache", False)  # what is compiled must be timed
    check_case(get(FIRST), steps=2)
    return timed_check(name, ready())


def timed_check(name: str, check: Check, watch: Stopwatch | None = None) -> CheckTime:
    """Returns the time of the check in this process."""
    watch = watch or Stopwatch()
    before = forget_peak()
    usage = Usage.now()
    with watching(watch):
        result = check()
    return CheckTime(
        name,
        result.status,
        result.params,
        dict(watch.seconds),
        watch.elsewhere,
        before,
        peak(),
        Usage.now().others_since(usage),
        result.error,
    )
