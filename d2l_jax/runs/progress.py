"""A training run on a terminal: lines, and a bar within and across the epochs; in a file, a line now and then."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from d2l_jax.patience import Patience
from d2l_jax.runs.run import Listener
from d2l_jax.train import Event

SILENCE = 60.0  # seconds that a file sees nothing of a long epoch


class Terminal(Listener):
    """Prints the lines, and shows a bar where the output is a terminal; elsewhere a long epoch tells where it is."""

    def __init__(self, to_stderr: bool = False):
        file = sys.stderr if to_stderr else sys.stdout
        # A notebook's FORCE_COLOR asks for colours, and makes rich take its pipe for a terminal.
        self.console = Console(file=file, force_interactive=file.isatty(), highlight=False, markup=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        shown = self.console.is_interactive
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not shown)
        self.epochs = 0
        self.task: TaskID | None = None
        self.told = time.monotonic()
        self.patience = Patience(self.line, "at work")

    def __enter__(self) -> "Terminal":
        self.bar.start()
        self.patience.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.patience.end()
        self.bar.stop()

    def line(self, text: str) -> None:
        """Prints it above the bar."""
        self.console.print(text, soft_wrap=True)
        self.told = time.monotonic()

    def begin(self, epochs: int) -> None:
        """A new bar in the place of the last; without one, a long compilation is told until the first news."""
        self.patience.doing = "compiling, then the first batches"
        if self.console.is_interactive:
            self.patience.end()
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.epochs = epochs
        self.task = self.bar.add_task("compiling", total=None)

    def event(self, event: Event) -> None:
        """Moves the bar; without one, tells where a long epoch is, at most once a minute."""
        self.patience.end()
        if self.task is None:
            return
        done = (event.epoch - 1) * event.batches + event.done
        at = f"epoch {event.epoch}/{self.epochs}"
        self.bar.update(self.task, description=at, completed=done, total=self.epochs * event.batches)
        within = event.done < event.batches
        if within and not self.console.is_interactive and time.monotonic() - self.told >= SILENCE:
            self.line(f"{at}  batch {event.done}/{event.batches}")
