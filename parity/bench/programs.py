"""What is timed: one step of a Case as a program, started and ready."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
from flax import nnx

from d2l_jax.case import Case
from parity.bench.batch import Sample, floats_to
from parity.bench.precision import Precision, dtype_of
from parity.environment import jax_device

FIRST = 3  # calls whose losses are compared


@dataclass(frozen=True)
class Task:
    """The parts that all programs of a case share: the weights of `model`, one batch, device and precision."""

    case: Case
    model: nnx.Module
    batch: Sample
    device: str = "cpu"
    precision: Precision = "highest"

    @cached_property
    def flax(self) -> nnx.Module:
        """The model in the precision's dtype."""
        graphdef, state = nnx.split(self.model)
        return nnx.merge(graphdef, floats_to(state, dtype_of(self.precision)))

    def on_device(self, tree: Any) -> Any:
        """Arrays on JAX's device in the precision's dtype."""
        return jax.device_put(floats_to(tree, dtype_of(self.precision)), jax_device(self.device))


@dataclass(frozen=True)
class Start:
    """The outcome of the first three calls of a program.

    compile_s: JAX: lowering and compiling, before the first call; torch.compile: the first call, which
               compiles; None where nothing is compiled. Measured once, whoever else is busy
    footprint: JAX: bytes of the compiled step's arguments and temporaries; None where XLA does not tell
    traffic:   JAX: bytes that it reads and writes, the body of a loop once
    """

    first_calls_s: tuple[float, ...]
    losses: tuple[float, ...]
    compile_s: float | None = None
    footprint: int | None = None
    traffic: float | None = None


@dataclass(frozen=True)
class Program:
    """A step that has been taken three times and is ready to be timed: `step` waits, and returns its loss."""

    step: Callable[[], Any]
    start: Start


def started(step: Callable[[], Any], **compiled: Any) -> Program:
    """The first three calls; `compiled`: further members of `Start`."""
    seconds = []
    losses = []
    for _ in range(FIRST):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)
        losses.append(float(loss))
    return Program(step, Start(tuple(seconds), tuple(losses), **compiled))
