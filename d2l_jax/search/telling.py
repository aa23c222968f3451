"""A study on a terminal: a line for each trial that has ended, and a bar over all of them."""

import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from d2l_jax.search.journal import Event
from d2l_jax.search.space import Config
from d2l_jax.search.study import Study


class Telling:
    """Prints the lines of a study, and shows a bar where the output is a terminal."""

    def __init__(self, to_stderr: bool, trials: int):
        file = sys.stderr if to_stderr else sys.stdout
        self.console = Console(file=file, force_interactive=file.isatty(), highlight=False, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        shown = self.console.is_interactive
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not shown)
        self.trials = trials
        self.task = self.bar.add_task("trials", total=trials)

    def __enter__(self) -> "Telling":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def line(self, text: str) -> None:
        """Prints it above the bar."""
        self.console.print(text, soft_wrap=True)

    def begin(self, study: Study, settings: dict[str, Any]) -> None:
        """Tells what is searched."""
        self.line(f"study     {settings['model']} on {settings['data']}, {settings['scheduler']}")
        self.line("space     " + ", ".join(f"{name} {domain}" for name, domain in settings["space"].items()))
        if study.trials:
            ended = sum(bool(trial.ended) for trial in study.trials)
            self.line(f"resumed   {ended} trials had ended, {len(study.trials) - ended} are run again")

    def hear(self, event: Event, study: Study) -> None:
        """Moves the bar; at the end of a trial, a line."""
        running = sum(not trial.ended for trial in study.trials)
        best = f", best error {study.incumbent_error:.4f}" if study.incumbent else ""
        done = len(study.trials) - running
        self.bar.update(self.task, description=f"{running} running{best}", completed=done)
        if "ended" not in event:
            return
        trial = study.trials[event["trial"]]
        reached = f"error {trial.errors[-1]:.4f} after {len(trial.errors)} epochs" if trial.errors else "no error"
        why = f": {trial.why}" if trial.why else ""
        number = f"{trial.number + 1:{len(str(self.trials))}}/{self.trials}"
        self.line(f"trial {number}  {event['at']:.1f} s  {shown(trial.config)}  {reached}, {trial.ended}{why}")


def shown(config: Config) -> str:
    """Returns a configuration as text."""
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in config.items())  # fmt: skip
