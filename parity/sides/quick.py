"""Programs that are compiled in little time, for a CPU, where they are run a few times only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu import compile as users
from d2l_jax.cpu.compile import cpu_options, known
from parity.environment import Device

UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
OPTIMISED = UNOPTIMISED | {"xla_backend_optimization_level": 1}
# Optimising takes about 0.6 ms for each line of the program. Convolutions of float64 are loops of XLA's own, which
# lose 2.5 ns for each operation without it; ten runs of more operations than this, for each line, are worth it.
WORTH = 25_000


def quickly(function: Callable, device: Device) -> Callable:
    """Returns the function jitted: for a CPU as `Quick`, elsewhere as users jit it."""
    return Quick(function) if device.platform == "cpu" else users.jit(function)


class Quick:
    """A jitted function, compiled for each kind of arguments with as much optimisation as its work is worth.

    Where its results are not finite it is compiled as users' are: without optimisation XLA computes a maximum twice, by
    two roundings, so that no element is equal to it, and the gradient of `jnp.max` is 0 / 0.
    """

    def __init__(self, function: Callable):
        self._jitted = jax.jit(function)
        self._programs: dict[Any, Callable] = {}
        self._as_users: set[Any] = set()

    def __call__(self, *args: Any) -> Any:
        kind = _kind(args)
        if kind not in self._programs:
            lowered = self._jitted.lower(*args)
            self._programs[kind] = _compiled(lowered, options_for(lowered))
        results = self._programs[kind](*args)
        if kind in self._as_users or _finite(results):
            return results
        self._as_users.add(kind)
        self._programs[kind] = _compiled(self._jitted.lower(*args), {})
        return self._programs[kind](*args)


def _compiled(lowered: jax.stages.Lowered, more: dict[str, Any]) -> Callable:
    return lowered.compile(compiler_options={**(cpu_options() or {}), **known(more)} or None)


def _finite(tree: Any) -> bool:
    arrays = [x for x in jax.tree.leaves(tree) if hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact)]
    return all(np.all(np.isfinite(x)) for x in arrays)


def options_for(lowered: jax.stages.Lowered) -> dict[str, Any]:
    """Returns the compiler's options that take the least time, of compiling and of ten runs together."""
    operations = (lowered.cost_analysis() or {}).get("flops", 0.0)
    lines = lowered.as_text().count("\n")
    return OPTIMISED if operations > WORTH * lines else UNOPTIMISED


def _kind(args: tuple) -> Any:
    leaves, tree = jax.tree.flatten(args)
    return tree, tuple((np.shape(x), getattr(x, "dtype", type(x)), getattr(x, "sharding", None)) for x in leaves)
