"""Commands whose end is one line: bad input, a full disk, and wrong options, which tyro frames in a box."""

import argparse
import functools
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, NoReturn

from tyro.extras import SubcommandApp

from d2l_jax.errors import InputError
from d2l_jax.write import leave_full_output

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
FRAME = "│╭╮╰╯ "
RULE = re.compile(r"[─-]{3,}")  # of a whole row
READING = re.compile(r"Error parsing (\S+): .*?(?:from \[(?P<words>.*?)\]\.|: (?P<word>'.*'))")
HELP = re.compile(r"For full helptext, (?:run:?|see) (.*)")


class Commands(SubcommandApp):
    """Functions as commands: their arguments are read first, and wrong ones told in one line; then one is run."""

    def command(self, func: Any = None, **options: Any) -> Any:
        """Adds a function, or commands below a name; a decorator, which leaves the function as it is."""
        if func is None:
            return functools.partial(self.command, **options)
        super().command(func if isinstance(func, SubcommandApp) else _later(func), **options)
        return func

    def run(self, prog: str, description: str, args: Sequence[str] | None) -> Any:
        """Runs the command that `args` calls, `sys.argv` if None, and returns what it returns; SystemExit otherwise."""
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                chosen = self.cli(prog=prog, description=description, args=args)
        except SystemExit as end:
            if end.code:
                print(f"error: {line_of(said.getvalue())}", file=sys.stderr)
            raise
        return chosen()


class Arguments(argparse.ArgumentParser):
    """The arguments of a small program, which tells a wrong call as any other wrong input: raises InputError."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help tells more")


@contextmanager
def ending_in_one_line(interrupted: str = "interrupted") -> Iterator[None]:
    """Ends with status 2 and one line where the user's input, or the machine, is at fault; with 130 for Ctrl-C."""
    try:
        yield
    except InputError as error:
        sys.exit(_told(error, 2))
    except BrokenPipeError:  # `d2l-jax list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a full disk, a file that is not to be read
        sys.exit(_told(error, 2))
    except KeyboardInterrupt:
        sys.exit(_told(interrupted, 130))


def line_of(box: str) -> str:
    """Returns what a box of tyro's says in one line: what was wrong, what would be right, and which help has more."""
    _title, *rows = (row.strip(FRAME) for row in COLOURS.sub("", box).splitlines())
    text = "\n".join("\0" if RULE.fullmatch(row) else row for row in rows)
    parts = [part.replace("\n", " ") for part in text.split("\0") if part.strip()]
    wrong, *more = dict.fromkeys([*parts[:2], *parts[-1:]])
    if unread := READING.search(wrong):
        value = (unread["words"] or unread["word"]).replace("', '", " ").strip("'")
        wrong = f"{unread[1]} {value or repr(value)} is not right"
    more = [HELP.sub(r"\1 tells more", part.strip()).replace("Argument helptext:", "right is") for part in more]
    return "; ".join(re.sub(r"\s+", " ", part).replace(" .", ".").strip(" .") for part in [wrong, *more])


def _later(function: Callable) -> Callable:
    """Returns a function of the same arguments that returns the call in place of running it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Callable:
        return functools.partial(function, *args, **kwargs)

    return call


def _told(message: Any, status: int) -> int:
    leave_full_output()
    print(f"error: {message}", file=sys.stderr)
    return status
