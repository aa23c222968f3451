"""`python -m parity.mutants.server`: performs tasks, a line of JSON each, every one in a process forked for it.

The libraries are imported once, before; Flax's side and `parity` only in the fork, so that each sees its own change.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from importlib import import_module
from typing import Any

MEMORY = 12 * 2**30  # bytes; a changed size may ask for anything
PRELOADED = ("numpy", "torch", "jax", "jax.numpy", "flax.nnx", "optax", "jaxtyping")


def serve() -> None:
    """Answers tasks from standard input until it ends; what libraries print goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.environ["JAX_PLATFORMS"] = "cpu"
    for name in PRELOADED:
        import_module(name)
    os.dup2(nowhere, 2)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers)


def answer(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Performs the task in a fork, and returns what it says, line by line.

    The last line has the status "timeout" or "crashed" where the fork did not end by itself. It has so many seconds
    for each line as the task's "timeouts" say.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _perform(task, writing)
    os.close(writing)
    text = b""
    try:
        for seconds in task["timeouts"]:
            before = text.count(b"\n")
            deadline = time.monotonic() + seconds
            while text.count(b"\n") == before:
                if not select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    return [*_lines(text), {"status": "timeout"}]
                piece = os.read(reading, 1 << 20)
                if not piece:
                    return _lines(text) or [{"status": "crashed"}]
                text += piece
        return _lines(text)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _perform(task: dict[str, Any], writing: int) -> None:
    """Performs the task in this process, and ends it."""
    from parity.mutants.work import perform

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    def say(line: dict[str, Any]) -> None:
        os.write(writing, json.dumps(line).encode() + b"\n")

    try:
        for line in perform(task):
            say(line)
    except Exception:  # a fault of this room, and no verdict
        say({"status": "broken", "detail": traceback.format_exc()})
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve()
