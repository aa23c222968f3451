"""Which line of a user's is being computed, and in which submodule."""

import itertools
import linecache
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import flax
import jax
import torch

MOST_CODE = 60
HERE = Path(__file__).parent
OWN = tuple(str(HERE.parent / room) for room in ("blame", "models", "proof", "sides", "training_step", "twin"))
FRAMEWORKS = tuple(str(Path(package.__file__ or "").parent) for package in (torch, jax, flax))
ELSEWHERE = (*FRAMEWORKS, *OWN)  # no lines of a user's
STEPS = str(HERE.parent / "reference" / "turns.py")  # which call a model as a whole


def code_of_caller(names: Mapping[int, str]) -> tuple[str, str, str]:
    """Returns the innermost expression outside of PyTorch that is being computed, its file and line, its submodule.

    No expression where the model is a layer of PyTorch's own, which no line of a user's calls.

    names: of the modules, by their id
    """
    frame = _frame_of_caller()
    if frame.f_code.co_filename == STEPS:
        return "", "", ""
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    line, end, first, last = next(positions, (None, None, None, None))
    code = code_at(frame.f_code.co_filename, line or 0, first, last if end == line else None)
    return code, f"{Path(frame.f_code.co_filename).name}, line {line}", _module(frame, names)


def code_at(file: str, line: int, first: int | None, last: int | None) -> str:
    """Returns what stands in a line of a file between two of its bytes, not too long; None is the line's end."""
    code = linecache.getline(file, line).encode()[first:last].decode(errors="replace").strip()
    return code if len(code) <= MOST_CODE else f"{code[:MOST_CODE]}..."


def line_of_caller() -> str:
    """Returns the expression and its line as they are told; "" where no line of a user's is being computed."""
    code, where, _ = code_of_caller({})
    return quoted(code, where) if code else ""


def expression_of_caller() -> tuple[int, int]:
    """Returns what tells one expression of a user's from another, in whichever of its turns it is being computed."""
    frame = _frame_of_caller()
    return id(frame.f_code), frame.f_lasti


def quoted(code: str, where: str) -> str:
    """Returns an expression with its place, as it is told."""
    return f"`{code}` ({where})"


def _frame_of_caller() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(ELSEWHERE):
        frame = frame.f_back
    return frame


def _module(frame: FrameType | None, names: Mapping[int, str]) -> str:
    """Returns the name of the innermost module whose method is running, helpers of it included."""
    while frame:
        first = frame.f_code.co_varnames[:1]
        if first and (name := names.get(id(frame.f_locals.get(first[0])))):
            return name
        frame = frame.f_back
    return ""
