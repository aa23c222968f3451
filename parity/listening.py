"""Who hears the phases of a check that is called as a function: a command's own listener, else standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from d2l_jax.patience import Patience

Listener = Callable[[str, str], None]  # (the twin's name, the phase of its check that begins)
_heard: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Lets checks within the block tell their phases to a listener, and nothing to anybody else."""
    token = _heard.set(listener)
    try:
        yield
    finally:
        _heard.reset(token)


@contextmanager
def listening(call: str) -> Iterator[Listener]:
    """Gives the listener of a call; without one, a line on standard error says at times what takes long."""
    if listener := _heard.get():
        yield listener
        return
    with Patience(lambda line: print(line, file=sys.stderr, flush=True), f"{call}: two models") as patience:

        def hear(name: str, phase: str) -> None:
            patience.doing = f"{call}: {phase}"

        yield hear
