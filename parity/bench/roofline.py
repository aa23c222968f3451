"""How near a step comes to what the machine can do (Williams, Waterman and Patterson, "Roofline", 2009)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.bench.conditions import same_conditions
from parity.bench.precision import Precision, dtype_of
from parity.bench.result import BenchResult
from parity.bench.timing import LEAST, take_turns
from parity.environment import jax_device, torch_device

SIDES = {"cpu": (512, 1024, 2048), "gpu": (2048, 4096, 8192)}  # of the square matrices that are multiplied
COPIED = {"cpu": 2**26, "gpu": 2**28}  # numbers: far more than a cache holds


class Ceilings(NamedTuple):
    """The best that was measured: operations per second in a matrix product, bytes per second in a copy."""

    flops: float
    bandwidth: float

    def attainable(self, flops: float, traffic: float) -> float:
        """Seconds that a step takes at least."""
        return max(flops / self.flops, traffic / self.bandwidth)


def ceilings(
    device: str = "cpu",
    precision: Precision = "highest",
    *,
    sides: tuple[int, ...] | None = None,
    copied: int | None = None,
    seconds: float = 10.0,
) -> Ceilings:
    """Measures both ceilings in JAX and PyTorch and takes the larger; the programs take turns, each kind for `seconds`.

    sides, copied: instead of the device's `SIDES` and `COPIED`
    """
    sides = sides or SIDES[device]
    copied = copied or COPIED[device]
    with same_conditions(precision):
        products = {f"{name} {n}": step for n in sides for name, step in _products(n, device, precision).items()}
        stats = take_turns(products, repeats=LEAST, seconds=seconds).stats
        flops = max(2 * int(name.split()[1]) ** 3 / times.minimum for name, times in stats.items())
        stats = take_turns(_copies(copied, device), repeats=LEAST, seconds=seconds).stats
        return Ceilings(flops, max(8 * copied / times.minimum for times in stats.values()))


def _products(n: int, device: str, precision: Precision) -> dict[str, Callable[[], Any]]:
    dtype = dtype_of(precision)
    random = np.random.default_rng(0)
    numbers = random.random((n, n), np.float32)  # a GPU multiplies ones faster than other numbers
    ours = jax.device_put(jnp.asarray(numbers, dtype), jax_device(device))
    theirs = torch.tensor(numbers, dtype=getattr(torch, dtype), device=torch_device(device))
    return _both(lambda x: x @ x, ours, theirs)


def _copies(n: int, device: str) -> dict[str, Callable[[], Any]]:
    """Programs that read and write every number once; the addition costs nothing beside that."""
    ours = jax.device_put(jnp.ones(n, jnp.float32), jax_device(device))
    return _both(lambda x: x + 1, ours, torch.ones(n, device=torch_device(device)))


def _both(function: Callable, ours: jax.Array, theirs: torch.Tensor) -> dict[str, Callable[[], Any]]:
    jitted = jax.jit(function)
    wait = torch.cuda.synchronize if theirs.is_cuda else lambda: None
    return {"jax": lambda: jax.block_until_ready(jitted(ours)), "torch": lambda: (function(theirs), wait())}


class Point(NamedTuple):
    """A training step under the roof.

    intensity:    operations per byte
    attainable_s: what the ceilings allow; shares: the part of it that each program reaches
    rates:        operations per second of each program
    """

    intensity: float
    attainable_s: float
    shares: dict[str, float]
    rates: dict[str, float]


def point(result: BenchResult, roof: Ceilings | None) -> Point | None:
    """Returns where a case lies; None if it was not timed, or has no arithmetic."""
    measured = result.training.measured
    if roof is None or not measured or not result.flops or not result.traffic:
        return None
    seconds = {name: stats.median for name, stats in measured.stats.items()}
    attainable = roof.attainable(result.flops, result.traffic)
    return Point(
        result.flops / result.traffic,
        attainable,
        {name: attainable / s for name, s in seconds.items()},
        {name: result.flops / s for name, s in seconds.items()},
    )


def to_json(result: BenchResult, roof: Ceilings) -> dict[str, Any]:
    """The member "roofline" of a case."""
    position = point(result, roof)
    figures = {} if position is None else position._asdict()
    return {"flops": result.flops, "traffic_bytes": result.traffic, **figures}
