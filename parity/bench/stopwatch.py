"""Seconds of a check by part and by work, each second counted once."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

REST = "rest"
STEPS = "steps"
OUTER = (REST, STEPS)  # parts within which another begins
COMPILING = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "tracing",
    "/jax/core/compile/backend_compile_duration": "compiling",
}


class Span(NamedTuple):
    """The part of the check and the kind of work that time goes to."""

    part: str
    work: str


class Stopwatch:
    """Charges the time of one thread to the innermost open span.

    seconds:   by span
    elsewhere: seconds that JAX traced and compiled in other threads meanwhile, which no span has
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.seconds: defaultdict[Span, float] = defaultdict(float)
        self.elsewhere = 0.0
        self._clock = clock
        self._thread = threading.get_ident()
        self._open = [Span(REST, REST)]
        self._last = clock()
        self._compiled: list[tuple[float, float]] = []

    @contextmanager
    def span(self, part: str = "", work: str = REST) -> Iterator[None]:
        """Charges the block's time; a part within twin, free run, layers or blame belongs to that one."""
        if threading.get_ident() != self._thread:
            yield
            return
        outer = self._open[-1].part
        self._charge()
        self._open.append(Span(part if part and outer in OUTER else outer, work))
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts and stops the watch, and hears from JAX how long it traces and compiles."""
        self._last = self._clock()
        jax.monitoring.register_event_duration_secs_listener(self.hear)
        try:
            yield
        finally:
            self._charge()
            jax.monitoring.unregister_event_duration_listener(self.hear)

    def hear(self, event: str, duration_secs: float, **_: Any) -> None:
        """Takes what JAX has just spent on tracing or compiling from the open span's work."""
        if not (work := COMPILING.get(event)):
            return
        if threading.get_ident() != self._thread:
            self.elsewhere += duration_secs
            return
        end = self._clock()
        start = end - duration_secs
        seconds = duration_secs
        while self._compiled and self._compiled[-1][0] >= start:  # a program within this one has been counted
            inner = self._compiled.pop()
            seconds -= inner[1] - inner[0]
        self._compiled.append((start, end))
        part = self._open[-1].part
        self.seconds[Span(part, work)] += seconds
        self.seconds[self._open[-1]] -= seconds

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self._open[-1]] += now - self._last
        self._last = now
