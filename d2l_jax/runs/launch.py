"""Starts the processes that train together here, and ends all of them when one ends."""

import json
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from threading import Thread
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options, folder_of
from d2l_jax.runs.together import ALONE, Together

GRACE = 5.0  # seconds in which a process may put away what it writes
EVERY = 0.1  # seconds between two looks


class Worker:
    """A process that trains with others, and the last lines of its standard error."""

    def __init__(self, options: Options, processes: Together, place: int, to_stderr: bool):
        self.number = processes.numbers[place]
        leads = self.number == 0
        out = (sys.stderr if to_stderr else None) if leads else subprocess.DEVNULL
        command = [sys.executable, "-m", "d2l_jax.runs.worker"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE, text=False)
        self.errors = deque[str](maxlen=100)
        self.reader = Thread(target=self._read, args=(leads,), daemon=True)
        self.reader.start()
        assert self.process.stdin
        try:  # the pipe stays open: its end tells the worker that this process has ended
            pickle.dump((options, processes, place), self.process.stdin)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is seen soon

    def _read(self, leads: bool) -> None:
        assert self.process.stderr
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.errors.append(line)
            if leads and line.startswith("warning: "):
                print(line, file=sys.stderr, flush=True)

    def said(self) -> str:
        """Returns the error that it printed, of one that has ended; "" where it ended without one."""
        self.reader.join(GRACE)
        lines = [line.removeprefix("error: ") for line in self.errors if line.startswith("error: ")]
        return lines[-1] if lines else ""

    def how(self) -> str:
        """Tells in words how it ended; JAX ends a process that has lost another one by SIGABRT."""
        status = self.process.returncode
        if status == -signal.SIGABRT and any("distributed service" in line for line in self.errors):
            return "has lost another one"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def launch(options: Options, processes: Together, to_stderr: bool = False) -> dict[str, Any] | None:
    """Runs the processes to their end; returns the content of `metrics.json` where process 0 is among them.

    Raises InputError as soon as one of them ends otherwise than well, and ends the others.
    """
    out = folder_of(options)
    workers = [Worker(options, processes, place, to_stderr) for place in range(len(processes.numbers))]
    try:
        first = first_that_fails(workers)
    finally:
        _end(workers)
    if first is not None:
        raise InputError(first.said() or _died(first, processes, out))
    return json.loads((out / "metrics.json").read_text()) if processes.leads else None


def first_that_fails(workers: list[Worker]) -> Worker | None:
    """Waits until all have ended well, which is None, or one has not; who has lost another one is not the first."""
    running = list(workers)
    lost = 0.0
    while running:
        running = [worker for worker in running if worker.process.poll() is None]
        failed = [worker for worker in workers if worker.process.returncode]
        guilty = [worker for worker in failed if worker.process.returncode not in (ALONE, -signal.SIGABRT)]
        lost = lost or (time.monotonic() if failed else 0.0)
        if guilty or failed and (not running or time.monotonic() - lost > GRACE):
            return (guilty or failed)[0]
        time.sleep(EVERY)
    return None


def _died(worker: Worker, processes: Together, out: Path) -> str:
    saved = sorted((out / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    then = f"the last checkpoint is {saved[-1]}, go on with --resume" if saved else "no checkpoint was saved before"
    return f"process {worker.number} of {processes.processes} {worker.how()}; {then}"


def _end(workers: list[Worker]) -> None:
    """Ends what still runs: asked first, since one may be writing, and after a moment by force."""
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()
    deadline = time.monotonic() + GRACE
    while any(worker.process.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(EVERY)
    for worker in workers:
        worker.process.kill()
        worker.process.wait()
