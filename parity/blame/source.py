"""Which line of a user's asks for an equation of a traced program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flax
from jax._src import source_info_util

from parity.blame.lines import OWN, code_at, quoted

LIBRARY = str(Path(flax.__file__).parent)


class Source(NamedTuple):
    """An expression in a file, with the file of Flax's own that it calls and its line, if the equation stands there."""

    file: str
    line: int
    code: str
    inside: str = ""
    line_inside: int = 0

    def __str__(self) -> str:
        return quoted(self.code, f"{Path(self.file).name}, line {self.line}")


def source_of(equation: Any) -> Source | None:
    """Returns the innermost expression outside of JAX and Flax; None where another version of JAX does not tell."""
    inside = "", 0
    for frame in _frames(equation):
        if frame.file_name.startswith(LIBRARY):
            inside = inside if inside[1] else (_in_library(frame.file_name), frame.start_line)
        elif not frame.file_name.startswith(OWN):
            return Source(frame.file_name, frame.start_line, _code(frame), *inside)
    return None


def _in_library(file: str) -> str:
    return Path(file).relative_to(Path(LIBRARY).parent).as_posix()


def _frames(equation: Any) -> Iterator[Any]:
    frames = getattr(source_info_util, "user_frames", None)
    if frames:
        yield from frames(equation.source_info.traceback)


def _code(frame: Any) -> str:
    one_line = frame.end_line == frame.start_line
    return code_at(frame.file_name, frame.start_line, frame.start_column, frame.end_column if one_line else None)
