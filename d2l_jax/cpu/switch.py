"""The switch that turns the other forms off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
from jax import lax

_PLAIN: ContextVar[bool] = ContextVar("plain_lax", default=False)


@contextmanager
def plain_lax() -> Iterator[None]:
    """Turns the other forms off for all that is traced within; what `jax.jit` has traced before stays as it is."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def turned_off() -> bool:
    """True where plain `lax` is traced: within `plain_lax()`, and on a mesh, which the forms do not know."""
    return _PLAIN.get() or not jax.sharding.get_abstract_mesh().empty


def on_cpu(cpu: Callable, plain: Callable, *args: Any) -> Any:
    """`cpu(*args)` in a program for one CPU, unless the forms are turned off; else `plain(*args)`."""
    return plain(*args) if turned_off() else lax.platform_dependent(*args, cpu=cpu, default=plain)


def kept_on_cpu(cpu: Callable, plain: Callable, *args: Any) -> Any:
    """`on_cpu` for two functions of a module: outside of `jax.jit` it compiles once for each shape, not each time."""
    return plain(*args) if turned_off() else _kept(cpu, plain, *args)


_kept = jax.jit(on_cpu, static_argnums=(0, 1))
