"""Programs that are compiled in little time, for a CPU, where they are run a few times only."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from d2l_jax.cpu import compile as users
from d2l_jax.cpu.compile import cpu_options, known
from parity.environment import Device

UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
OPTIMISED = UNOPTIMISED | {"xla_backend_optimization_level": 1}
# Optimising takes about 0.6 ms for each line of the program. Convolutions of float64 are loops of XLA's own, which
# lose 2.5 ns for each operation without it; ten runs of more operations than this, for each line, are worth it.
WORTH = 25_000
EQUALITY = re.compile(r"stablehlo\.compare +EQ, (%\w+), (%\w+),[^\n]*FLOAT")
BROADCAST = re.compile(r"(%\w+) = stablehlo\.broadcast_in_dim %\w+, dims = \[\d")  # of no scalar


def quickly(function: Callable, device: Device) -> Callable:
    """Returns the function jitted: for a CPU as `Quick`, elsewhere as users jit it."""
    return Quick(function) if device.platform == "cpu" else users.jit(function)


class Quick:
    """A jitted function, compiled for each kind of arguments with as much optimisation as its work is worth."""

    def __init__(self, function: Callable):
        self._jitted = jax.jit(function)
        self._programs: dict[Any, Callable] = {}

    def __call__(self, *args: Any) -> Any:
        kind = _kind(args)
        if kind not in self._programs:
            lowered = self._jitted.lower(*args)
            options = {**(cpu_options() or {}), **known(options_for(lowered))}
            self._programs[kind] = lowered.compile(compiler_options=options or None)
        return self._programs[kind](*args)


def options_for(lowered: jax.stages.Lowered) -> dict[str, Any]:
    """Returns the compiler's options that take the least time, of compiling and of ten runs together.

    None but users' are right where numbers are compared with their maximum, as in the gradient of `jnp.max`: without
    optimisation XLA computes the two sides of it by different roundings.
    """
    text = lowered.as_text()
    if _seeks_maxima(text):
        return {}
    operations = (lowered.cost_analysis() or {}).get("flops", 0.0)
    lines = text.count("\n")
    return OPTIMISED if operations > WORTH * lines else UNOPTIMISED


def _seeks_maxima(text: str) -> bool:
    spread = set(BROADCAST.findall(text))  # a maximum along axes is broadcast before it is compared
    return any(not spread.isdisjoint(pair) for pair in EQUALITY.findall(text))


def _kind(args: tuple) -> Any:
    leaves, tree = jax.tree.flatten(args)
    return tree, tuple((np.shape(x), getattr(x, "dtype", type(x)), getattr(x, "sharding", None)) for x in leaves)
