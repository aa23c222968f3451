"""A trial in a process of its own, which can be ended at any time, and whose death harms no other."""

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from d2l_jax.search.space import Config
from d2l_jax.search.tuner import Objective

GRACE = 5.0  # seconds in which a process may end when it is asked to

# Forked from a server that has loaded what the objective needs, and has begun no computation: 0.03 s, not 3 s.
FORKS = sys.platform not in ("darwin", "win32")
CONTEXT: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")


def load_beforehand(module: str) -> None:
    """Lets trials start with a module loaded; to be called before the first of them."""
    if FORKS:
        CONTEXT.set_forkserver_preload([module])


class TrialProcess:
    """A trial under way.

    number:     of the trial
    place:      of the worker, from 0
    connection: ready where there is news
    """

    def __init__(self, objective: Objective, number: int, config: Config, place: int, workers: int):
        self.number = number
        self.config = config
        self.place = place
        self.connection, other = CONTEXT.Pipe()
        arguments = (objective, config, other, share_of_gpu(place, workers))
        self.process = CONTEXT.Process(target=_train, args=arguments, daemon=True)
        self.process.start()
        other.close()

    def news(self) -> tuple[str, Any]:
        """Returns ("error", number) after an epoch, ("completed", "") or ("failed", why) at the end."""
        with suppress(EOFError, ConnectionResetError):
            return self.connection.recv()
        self.process.join(GRACE)
        code = self.process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return "failed", f"the process {how}"

    def end(self) -> None:
        """Ends the process where it has not ended: it is asked first, and after a moment it has no choice."""
        self.process.terminate()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()


def share_of_gpu(place: int, workers: int) -> dict[str, str]:
    """Returns the environment of a worker on this machine: its GPU, and its share of the memory there."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    gpus = [each for each in visible.split(",") if each] or _gpus()
    if not gpus:
        return {}
    sharing = -(-workers // len(gpus))
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / sharing:.3f}"} if sharing > 1 else {}
    return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} | memory


def _gpus() -> list[str]:
    with suppress(OSError):
        return [str(i) for i in range(sum(name[6:].isdecimal() for name in os.listdir("/dev") if name[:6] == "nvidia"))]
    return []


def _train(objective: Objective, config: Config, connection: Connection, environment: dict[str, str]) -> None:
    """Trains in the new process, and tells what happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the study's, which ends its trials
    os.dup2(2, 1)  # standard output is the study's, too
    os.environ.update(environment)
    Thread(target=_end_with_study, args=(connection,), daemon=True).start()
    try:
        objective(config, lambda error: connection.send(("error", float(error))))
    except Exception as error:  # whatever it is, the study goes on
        lines = str(error).strip().splitlines() or [""]
        connection.send(("failed", f"{type(error).__name__}: {lines[0]}"))
    else:
        connection.send(("completed", ""))


def _end_with_study(connection: Connection) -> None:
    """Waits for the end of the pipe, which comes with that of the study's process."""
    with suppress(EOFError, OSError):
        connection.recv()
    os._exit(1)
