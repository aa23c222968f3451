"""How busy the machine is, and with whose work."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

QUIET = 0.05  # the share of our CPUs that other processes may keep busy


class Usage(NamedTuple):
    """A clock, the CPU seconds of this process and its ended children, and everyone's (None: unknown)."""

    wall: float
    ours: float
    everyone: float | None

    @classmethod
    def now(cls) -> "Usage":
        """Returns the reading of this moment."""
        return cls(time.perf_counter(), sum(os.times()[:4]), _busy_seconds())

    def others_since(self, before: "Usage") -> float | None:
        """CPUs that other processes have kept busy on average since `before`."""
        if self.everyone is None or before.everyone is None:
            return None
        foreign = (self.everyone - before.everyone) - (self.ours - before.ours)
        return max(0.0, foreign / (self.wall - before.wall))

    @classmethod
    def total(cls, readings: Sequence["Usage"]) -> "Usage":
        """Returns the sum: that of several spans' ends, less that of their beginnings, is the spans together."""
        walls, ours, everyone = zip(*readings)
        return cls(sum(walls), sum(ours), None if None in everyone else sum(everyone))


def _busy_seconds() -> float | None:
    """Returns the time of the CPUs that this process may use: all but idle and iowait, stolen time included."""
    try:
        ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        with open("/proc/stat") as file:
            lines = [line.split() for line in file]
    except (OSError, AttributeError):
        return None
    ticks = [[int(n) for n in fields[1:9]] for fields in lines if fields and fields[0] in ours]
    return sum(sum(t) - t[3] - t[4] for t in ticks) / os.sysconf("SC_CLK_TCK")


def cpus() -> int:
    """Counts the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def undisturbed(others: float | None) -> bool:
    """Tells whether other processes left us our CPUs, as far as can be known."""
    return others is None or others <= QUIET * cpus()
