"""Says at times, while long work says nothing itself, what is being done; of short work nothing is said."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

FIRST = 15.0  # seconds until the first line
LONGEST = 60.0  # seconds between two of them


class Patience:
    """Tells what the work within its block is at: first after some seconds, then in pauses that double to a minute.

    tell:  gets each line, in a thread of its own
    doing: what is being done at first, in words
    """

    def __init__(self, tell: Callable[[str], None], doing: str):
        self.tell = tell
        self.doing = doing
        self.pause = FIRST
        self.over = threading.Event()

    def __enter__(self) -> "Patience":
        self.since = time.monotonic()
        threading.Thread(target=self._wait, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Says nothing from now on."""
        self.over.set()

    def _wait(self) -> None:
        while not self.over.wait(self.pause):
            self.tell(f"{self.doing}: {time.monotonic() - self.since:.0f} s so far")
            self.pause = min(2 * self.pause, LONGEST)
