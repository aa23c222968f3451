"""A limit of time for what may take minutes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TooSlow(BaseException):
    """A limit that ran out; no Exception, which torch.compile would take for a failure of its own and wrap it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `TooSlow` after so many seconds; only in the main thread of a Unix process, else no limit."""

    def stop(*_: Any) -> None:
        raise TooSlow

    try:
        before = signal.signal(signal.SIGALRM, stop)
    except (ValueError, AttributeError):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
