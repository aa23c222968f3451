"""How far a command has come, on a terminal and in a file."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.text import Text

from d2l_jax.patience import Patience

if TYPE_CHECKING:
    from parity.result import Result


class PhasesBelow(Progress):
    """A bar of the cases that have ended, and below it a line for each that runs: its phase."""

    def __init__(self, console: Console):
        columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
        self.phases: dict[str, str] = {}
        super().__init__(*columns, console=console, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yields the bar and the lines, none wider than the terminal."""
        yield from super().get_renderables()
        for name, phase in self.phases.copy().items():  # the bar is drawn in a thread of its own
            yield Text(f"{name}: {phase}", no_wrap=True, overflow="ellipsis")


class Watch:
    """Shows how far a command has come: on a terminal a bar with phases, else a line for each case as it ends.

    That a case begins is then said on standard error, and at times the phase of a long one, so that minutes do not
    pass without a word. A case that is refused has no line: its error says all.
    """

    def __init__(self, total: int, console: Console):
        self.total = total
        self.console = console
        self.bar = PhasesBelow(console)
        self.begun = set[str]()
        self.patience = Patience(lambda line: print(line, file=sys.stderr, flush=True), "at work")

    def hear(self, name: str, phase: str) -> None:
        """Notes the phase in which a case is."""
        self.bar.phases[name] = phase
        self.patience.doing = f"{name}, {phase}"
        if name not in self.begun and not self.console.is_interactive:
            self.begun.add(name)
            print(f"[{len(self.begun)}/{self.total}] {name} begins", file=sys.stderr, flush=True)

    def over(self, results: Iterator["Result"]) -> Iterator["Result"]:
        """Yields the results one by one, and shows them."""
        with self.bar if self.console.is_interactive else self.patience:
            yield from self._under_bar(results) if self.console.is_interactive else self._in_lines(results)

    def _in_lines(self, results: Iterator["Result"]) -> Iterator["Result"]:
        for number, result in enumerate(results, 1):
            seconds = f" {result.seconds:.1f} s" if result.seconds else ""
            line = f"[{number}/{self.total}] {result.name} {result.status}{seconds}"
            if not getattr(result, "refused", False):  # bugs that are planted are none
                self.console.print(line, highlight=False, markup=False, soft_wrap=True)
            yield result

    def _under_bar(self, results: Iterator["Result"]) -> Iterator["Result"]:
        task = self.bar.add_task("checking", total=self.total)
        for result in results:
            self.bar.phases.pop(result.name, None)
            self.bar.update(task, advance=1, description=f"{result.name}: {result.status}")
            yield result


def with_progress(results: Iterator, total: int, console: Console) -> Iterator:
    """Yields the results one by one, under a bar; in a file or a pipe, with a line for each as it ends."""
    return Watch(total, console).over(results)
