"""Files and folders that appear whole or not at all."""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from d2l_jax.errors import InputError

UNFINISHED = ".writing-"  # how the name of a folder begins in which something is being written


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path next to `path`, which replaces `path` if the block ends without an error.

    The block writes a single file or folder there. For a device or a pipe, `path` itself is yielded. Ctrl-C waits for
    its end.
    Raises InputError where it cannot be written.
    """
    with explained(path), uninterrupted():
        if path.exists() and not (path.is_file() or path.is_dir()):
            yield path
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as folder:
            part = Path(folder) / path.name
            yield part
            if part.is_dir() and path.is_dir():
                path.rename(Path(folder) / "before")  # no moment in which it is half removed
            os.replace(part, path)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds back the first SIGINT of the block until its end, so that a save is whole; a second one is not held.

    Elsewhere than in the main thread, which alone gets signals, it does nothing.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    held: list[FrameType | None] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            before(number, frame)
        held.append(frame)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(signal.SIGINT, held[0])


def check_writable(files: dict[str, Path | None], folders: tuple[str, ...] = ()) -> None:
    """Raises InputError where one of the files or folders could not be written, or two are the same; - is no file.

    files:   by the name of the option
    folders: the options that are folders
    """
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        if path in seen:
            raise InputError(f"{seen[path]} and {option} are both {path}; a file for each is right")
        seen[path] = option
        if str(path) == "-" or path.exists() and not (path.is_file() or path.is_dir()):  # a device, a pipe
            continue
        if path.exists() and path.is_dir() is not (option in folders):
            raise InputError(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'no folder'}")
        there = next(place for place in path.absolute().parents if place.exists())
        with explained(path), tempfile.TemporaryDirectory(dir=there, prefix=UNFINISHED):
            pass


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into an InputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def open_output() -> None:
    """Gives a process a standard output whose own was closed before it began, as a service may start it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def leave_full_output() -> None:
    """Sends what follows on standard output nowhere, if it takes no more: Python would complain of it once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, whole or not at all.

    Raises InputError where the file cannot be written, and ValueError for NaN and infinite numbers.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
