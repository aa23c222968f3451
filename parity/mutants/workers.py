"""Servers that perform tasks side by side."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from typing import Any, TypeVar

from d2l_jax.errors import InputError

Job = dict[str, Any]
Answer = list[dict[str, Any]]
PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
Item = TypeVar("Item")


class Workers:
    """Some servers; within a `with` block, which ends them."""

    def __init__(self, jobs: int):
        if jobs < 1:
            raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
        self.jobs = jobs
        self.processes: list[subprocess.Popen] = []
        self.idle: SimpleQueue[subprocess.Popen] = SimpleQueue()

    def __enter__(self) -> "Workers":
        command = [sys.executable, "-m", "parity.mutants.server"]
        for _ in range(self.jobs):
            process = subprocess.Popen(command, text=True, bufsize=1, start_new_session=True, **PIPES)
            self.processes.append(process)
            self.idle.put(process)
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)  # with the fork that it may wait for
            process.communicate()

    def perform(self, items: Sequence[Item], task: Callable[[Item], Job]) -> Iterator[tuple[Item, Answer]]:
        """Returns each item with the answer to its task, as they come."""
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = {pool.submit(self._ask, task(item)): item for item in items}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _ask(self, task: Job) -> Answer:
        process = self.idle.get()
        try:
            process.stdin.write(json.dumps(task) + "\n")  # type: ignore[union-attr]
            line = process.stdout.readline()  # type: ignore[union-attr]
        finally:
            self.idle.put(process)
        if not line:
            raise RuntimeError(f"a worker has ended with status {process.wait()}")
        answer = json.loads(line)
        if answer[-1]["status"] == "broken":
            raise RuntimeError(answer[-1]["detail"])
        return answer
