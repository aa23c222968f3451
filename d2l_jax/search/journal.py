"""The journal of a study: what happened, a line each, so that a study that was killed goes on where it was."""

import json
import os
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.write import explained

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = "trials.jsonl"
Event = dict[str, Any]


class Journal:
    """A file of JSON lines, the first of which says what study it is.

    A line is there whole before what it tells of goes on; the torn last line of a killed study is taken off. While one
    study writes, another is refused.

    folder:   of the study
    settings: what makes it the same study
    resume:   go on with what is there
    Raises InputError where there is a journal and it is not to be resumed, none to resume, one of another study or a
    damaged one, or one that is being written.
    """

    def __init__(self, folder: Path, settings: Event, resume: bool = False):
        self.path = path = folder / NAME
        if resume and not path.is_file():
            raise InputError(f"{folder} holds no study to resume; start without --resume")
        if path.exists() and not resume:
            raise InputError(f"{folder} holds a study already; continue it with --resume, or give another --out")
        with explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock(path)
            self.events = self._read(path)
            if self.events and self.events[0] != {"study": settings}:
                raise InputError(f"{path} is of another study: {_difference(self.events[0], settings)}")
        except InputError:
            self.close()
            raise
        if not self.events:
            self.write({"study": settings})

    def _lock(self, path: Path) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{path} is being written by another study; one at a time is right") from error

    def _read(self, path: Path) -> list[Event]:
        content = path.read_bytes()
        whole = content.rpartition(b"\n")[0] + b"\n" if b"\n" in content else b""
        os.ftruncate(self.file, len(whole))
        return [_event(line, f"{path}, line {number},") for number, line in enumerate(whole.splitlines(), 1)]

    def write(self, event: Event) -> None:
        """Adds an event, and returns when it is on the disk."""
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        os.write(self.file, line)
        os.fsync(self.file)
        self.events.append(event)

    def close(self) -> None:
        """Lets others write."""
        os.close(self.file)


def _event(line: bytes, where: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is damaged: {error}; a study of another --out is right") from error
    if not isinstance(event, dict):
        raise InputError(f"{where} is no event of a study: {line[:40].decode()}; a study of another --out is right")
    return event


def _difference(found: Event, settings: Event) -> str:
    before = found.get("study", {})
    names = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    return f"{names[0]} was {before.get(names[0])}, and is {settings.get(names[0])}; the same are right"
