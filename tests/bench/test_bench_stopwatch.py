"""Each second of a check is counted once, in the part and the work that it went to."""

import inspect
import sys
import threading
from functools import partial

import numpy as np
import optax
import pytest
import torch

import parity
from parity.bench.check_growth import FEATURES, NetworkSize, flax_network, ready, torch_network
from parity.bench.check_report import PHASES
from parity.bench.check_times import CheckTime, timed_check
from parity.bench.stopwatch import COMPILING, REST, STEPS, Span, Stopwatch
from parity.bench.watched import BLAME, COMPARING, FLAX, FREE_RUN, LAYERS, PARTS, TORCH, TWIN, WORK, watching
from parity.compare import semantics
from parity.layers import isolate
from parity.proof import free_run, proof
from parity.result import Result
from parity.sides import flax
from parity.sides.torch import TorchRun
from parity.twin import of_pair

TRACE, LOWER, COMPILE = COMPILING
TINY = NetworkSize(width=3, layers=1, steps=2, batch=4)


class Clock:
    """A clock that stands still but for what a test adds to it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_innermost_span_has_the_time(clock):
    watch = Stopwatch(clock)
    with watch.running():
        clock.now += 1
        with watch.span(STEPS):
            clock.now += 2
            with watch.span(work=COMPARING):
                clock.now += 4
                with watch.span(work=TORCH):
                    clock.now += 8
            clock.now += 16
    assert watch.seconds == {
        Span(REST, REST): 1,
        Span(STEPS, REST): 18,
        Span(STEPS, COMPARING): 4,
        Span(STEPS, TORCH): 8,
    }


def test_a_part_within_a_free_run_belongs_to_it(clock):
    watch = Stopwatch(clock)
    with watch.running(), watch.span(STEPS), watch.span(FREE_RUN), watch.span(LAYERS):
        clock.now += 1
    assert watch.seconds[Span(FREE_RUN, REST)] == 1 and not watch.seconds[Span(LAYERS, REST)]


def test_a_span_that_raises_ends(clock):
    watch = Stopwatch(clock)
    with watch.running():
        with pytest.raises(ValueError), watch.span(TWIN):
            clock.now += 1
            raise ValueError
        clock.now += 2
    assert watch.seconds == {Span(REST, REST): 2, Span(TWIN, REST): 1}


def test_compiling_within_tracing_is_counted_once(clock):
    watch = Stopwatch(clock)
    with watch.running(), watch.span(STEPS, FLAX):
        clock.now = 5.0
        watch.hear(COMPILE, 3.0)  # from 2 to 5, of a constant
        clock.now = 8.0
        watch.hear(TRACE, 7.0)  # from 1 to 8
        watch.hear("/jax/of/something/else", 4.0)
        clock.now = 10.0
        watch.hear(LOWER, 1.0)
    spans = {Span(STEPS, FLAX): 2, Span(STEPS, "tracing"): 5, Span(STEPS, "compiling"): 3, Span(REST, REST): 0}
    assert watch.seconds == spans


def test_other_threads_are_no_part_of_any_span(clock):
    watch = Stopwatch(clock)

    def other():
        with watch.span(LAYERS):
            clock.now += 1
        watch.hear(COMPILE, 6.0)

    with watch.running(), watch.span(STEPS, TORCH):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert watch.seconds[Span(STEPS, TORCH)] == 1 and watch.elsewhere == 6
    assert not any(span.part == LAYERS for span in watch.seconds)


def remaining(part: str, time: CheckTime) -> float:
    return time.of(part) - time.of(part, COMPARING) - time.of(part, TORCH)


PAUSES = {
    TWIN: (of_pair, "check_structure", lambda time: time.of(TWIN)),
    FLAX: (flax, "in_phases", partial(remaining, STEPS)),
    TORCH: (TorchRun, "buffers", lambda time: time.of(work=TORCH)),
    COMPARING: (semantics, "scales_of", lambda time: time.of(work=COMPARING)),
    FREE_RUN: (free_run, "longest_sum", partial(remaining, FREE_RUN)),
    LAYERS: (isolate, "label", partial(remaining, LAYERS)),
}


def pause(monkeypatch, clock: Clock, owner, name: str, length: float) -> list[float]:
    """Has every call of the function take that long; returns the list that each of its calls is added to."""
    original = getattr(owner, name)
    pauses = list[float]()

    def call(*args, **kwargs):
        pauses.append(length)
        clock.now += length
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)
    return pauses


@pytest.mark.slow
def test_control_a_pause_is_seen_in_its_phase_alone(clock, monkeypatch):
    lengths = {
        phase: pause(monkeypatch, clock, owner, name, 1e6 + 1e3 * number)
        for number, (phase, (owner, name, _)) in enumerate(PAUSES.items())
    }
    time = timed_check("tiny", ready(TINY), Stopwatch(clock))
    assert time.status == "pass" and all(lengths.values())
    assert {phase: spent(time) for phase, (*_, spent) in PAUSES.items()} == pytest.approx(
        {phase: sum(pauses) for phase, pauses in lengths.items()}
    )
    assert time.total == pytest.approx(sum(map(sum, lengths.values())))


@pytest.mark.slow
def test_every_phase_of_a_check_that_fails_has_its_seconds():
    time = timed_check("wrong", wrong)
    assert time.status == "fail" and time.error == ""
    assert all(phase.seconds(time) > 0 for phase in PHASES)
    assert time.of(BLAME) > time.of(BLAME, REST)  # layers and the modules around them, looked into once more


def wrong() -> Result:
    """Checks a network that learns twice as fast as its twin."""
    inputs = np.ones((TINY.batch, FEATURES), np.float32)
    rates = (optax.sgd(0.2), lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    return parity.check(flax_network(TINY), torch_network(TINY), inputs, optimizer=rates, steps=2)


@pytest.mark.slow
def test_watching_changes_no_verdict_and_leaves_no_trace():
    method = TorchRun.taken
    plain = ready(TINY)()
    watch = Stopwatch()
    with watching(watch):
        assert TorchRun.taken is not method and hasattr(proof.isolate, "__wrapped__")
        watched = ready(TINY)()
    assert plain.rows == watched.rows and watch.seconds
    assert TorchRun.taken is method and not hasattr(proof.isolate, "__wrapped__")


def test_a_check_that_raises_leaves_no_trace_either():
    with pytest.raises(ZeroDivisionError):
        timed_check("broken", lambda: 1 // 0)
    assert not hasattr(proof.isolate, "__wrapped__")


WATCHED = [function for functions in (*PARTS.values(), *WORK.values()) for function in functions]


@pytest.mark.parametrize("function", [f for f in WATCHED if "." not in f.__qualname__])
def test_a_watched_function_is_one_that_another_room_calls(function):
    home = inspect.getmodule(function)
    others = [m for name, m in sys.modules.items() if name.startswith("parity.") and ".bench" not in name]
    assert any(value is function for module in others if module is not home for value in vars(module).values())
