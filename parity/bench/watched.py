"""The calls by which a check's time is told apart: of the conductor, and of the rooms that it calls."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

from parity.bench.stopwatch import STEPS, Stopwatch
from parity.blame.place import blame
from parity.blame.precision import blame_precision
from parity.compare.classes import compare_classes
from parity.compare.precision import compare_precision
from parity.compare.probes import errors_of, largest_of, noise_of
from parity.compare.semantics import compare_semantics
from parity.layers.calls import layer_calls, traced_calls
from parity.layers.flax_layer import run_flax_layers
from parity.layers.isolate import isolate
from parity.layers.torch_layer import run_torch_layer
from parity.proof.free_run import free_run
from parity.proof.proof import check_twin
from parity.report.repro import evidence_of
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.sides.torch_runs import free_run_torch
from parity.twin.of_pair import twin_of_pair
from parity.twin.pairing import twin_of

TWIN = "twin"
FREE_RUN = "free run"
LAYERS = "layers"
BLAME = "blame"
FLAX = "Flax"
TORCH = "PyTorch"
COMPARING = "comparing"
PARTS: dict[str, tuple[Callable, ...]] = {
    TWIN: (twin_of, twin_of_pair),
    STEPS: (check_twin,),
    FREE_RUN: (free_run,),
    LAYERS: (isolate,),
    BLAME: (blame, blame_precision, evidence_of),
}
WORK: dict[str, tuple[Callable, ...]] = {
    FLAX: (FlaxRun.taken, FlaxRun.free, run_flax_layers, traced_calls),
    TORCH: (TorchRun.taken, TorchRun.evaluate, free_run_torch, run_torch_layer, layer_calls),
    COMPARING: (compare_semantics, compare_precision, compare_classes, noise_of, errors_of, largest_of),
}
CLASSES = (FlaxRun, TorchRun)


@contextmanager
def watching(watch: Stopwatch) -> Iterator[None]:
    """Runs the watch within the block, in which the calls are charged to their spans."""
    with ExitStack() as stack:
        for part, functions in PARTS.items():
            for function in functions:
                stack.enter_context(_replaced(function, _in_part(watch, part, function)))
        for work, functions in WORK.items():
            for function in functions:
                stack.enter_context(_replaced(function, _as_work(watch, work, function)))
        stack.enter_context(watch.running())
        yield


def _in_part(watch: Stopwatch, part: str, function: Callable) -> Callable:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # Modules around layers are asked for by blame alone.
        with watch.span(BLAME if kwargs.get("containers") else part):
            return function(*args, **kwargs)

    return call


def _as_work(watch: Stopwatch, work: str, function: Callable) -> Callable:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with watch.span(work=work):
            return function(*args, **kwargs)

    return call


@contextmanager
def _replaced(function: Callable, other: Callable) -> Iterator[None]:
    """Puts the other function wherever `parity` has this one by name, until the block ends."""
    owners = [*CLASSES, *(module for name, module in sys.modules.items() if name.partition(".")[0] == "parity")]
    places = [(owner, name) for owner in owners for name, value in vars(owner).items() if value is function]
    for owner, name in places:
        setattr(owner, name, other)
    try:
        yield
    finally:
        for owner, name in places:
            setattr(owner, name, function)
