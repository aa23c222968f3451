"""What long work says while it says nothing itself."""

import threading

from d2l_jax.patience import Patience


class Clock(threading.Event):
    """Lets pauses pass at once, as many as there are; then the work is over."""

    def __init__(self, pauses: int):
        super().__init__()
        self.pauses = [0.0] * pauses
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return not self.pauses or self.pauses.pop() > 0


def test_long_work_is_told_in_pauses_that_grow_to_a_minute(monkeypatch):
    monkeypatch.setattr("d2l_jax.patience.FIRST", 15.0)
    lines: list[str] = []
    patience = Patience(lines.append, "compiling")
    clock = patience.over = Clock(5)
    patience.since = 0.0
    patience._wait()
    assert len(lines) == 5 and all(line.startswith("compiling: ") and line.endswith(" s so far") for line in lines)
    assert clock.waited == [15.0, 30.0, 60.0, 60.0, 60.0, 60.0]


def test_control_of_short_work_nothing_is_said():
    lines: list[str] = []
    with Patience(lines.append, "at work"):
        pass
    assert not lines
