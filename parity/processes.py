"""Worker processes that end with the process that started them, whatever ends it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from threading import Thread
from typing import Any


@contextmanager
def processes(
    jobs: int, start: Callable[..., None] | None = None, *args: Any, preload: str = ""
) -> Iterator[ProcessPoolExecutor]:
    """Gives a pool of new processes, each of which has called `start(*args)`; an exception in the block ends them.

    preload: a module that is imported once, in a process that the others are copies of; "" has each import its own
    """
    others = set(active_children())
    context = get_context("forkserver" if preload else "spawn")
    if preload:
        context.set_forkserver_preload([preload])
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(start, args))
    try:
        yield pool
    except BaseException:  # an interrupt too: what still runs may take minutes
        for process in set(active_children()) - others:
            process.kill()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _begin(start: Callable[..., None] | None, args: tuple) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if start:
        start(*args)


def _end_with_parent() -> None:
    """Waits for the parent's end, by a signal that it could not hear even, and ends this process."""
    if parent := parent_process():
        connection.wait([parent.sentinel])
        os._exit(1)
