"""What all commands of `parity` share: which cases, files, and the exit status."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from d2l_jax.errors import InputError
from d2l_jax.write import replacing

if TYPE_CHECKING:
    from rich.console import Console

    from d2l_jax.case import Case
    from parity.result import Result

STDOUT = Path("-")


def status_of(results: Sequence["Result"]) -> int:
    """Returns 0 where all passed, 2 where all that did not were refused, else 1."""
    bad = [result for result in results if result.status != "pass"]
    return 0 if not bad else 2 if all(result.refused for result in bad) else 1


def chosen(names: tuple[str, ...], all: bool, timed: bool = False) -> Sequence["Case"]:
    """Returns the cases of these names, each once, or all; where they are `timed`, all that have data."""
    if all == bool(names):
        raise InputError("name some cases, or give --all")
    from d2l_jax.catalog import CASES, get

    return [case for case in CASES if case.data or not timed] if all else [get(name) for name in dict.fromkeys(names)]


def console_beside(*files: Path | None) -> "Console":
    """Returns the console for people: standard error, where one of the files is standard output."""
    from rich.console import Console

    stderr = STDOUT in files
    # A notebook's FORCE_COLOR asks for colours, and makes rich take its pipe for a terminal.
    return Console(stderr=stderr, force_interactive=(sys.stderr if stderr else sys.stdout).isatty(), emoji=False)


def write(path: Path | None, text: Callable[[], str], console: "Console") -> None:
    """Writes to standard output for -, else a file, whole or not at all, which the console then names."""
    if path == STDOUT:
        print(text())
    elif path:
        with replacing(path) as part:
            part.write_text(text(), encoding="utf-8")
        _tell_written(path, console)


def _tell_written(path: Path, console: "Console") -> None:
    console.print(f"written   {path}", highlight=False, markup=False, soft_wrap=True)


def write_repros(folder: Path | None, results: Sequence["Result"], console: "Console") -> None:
    """A folder for each failing case that has left arrays; those that could not be compared have none."""
    from parity.report.repro import save_repro

    for result in results if folder else ():
        if folder and result.evidence and (written := save_repro(result, folder)):
            _tell_written(written / "repro.py", console)
