"""Cases of the catalogue are checked, one after another or side by side."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

import jax

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.environment import seeded
from parity.processes import processes
from parity.proof.checking import Checking, Listener, silent
from parity.proof.compiled import with_compiled
from parity.proof.memory import check_cases_fit
from parity.proof.proof import check_twin
from parity.proof.size import Size, size_of
from parity.result import Result
from parity.start.draws import FreshFlax
from parity.start.of_case import compare_case
from parity.start.told import with_start
from parity.twin.pairing import twin_of

PAUSE = 0.2  # seconds between two looks at what the workers tell


def check_cases(
    cases: Sequence[Case], *, jobs: int = 1, listener: Listener = silent, **options: Any
) -> Iterator[Result]:
    """Yields the result of each case as soon as it is there; `jobs` processes work side by side.

    options: of `Checking`

    Raises InputError where the cases, so many side by side, would take more memory than is free.

    Compiling takes most of the time and keeps one core busy, so that two processes on two cores halve it.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
    checking = Checking(**options)
    sizes = {case.name: size_of(case, checking.full) for case in cases}
    check_cases_fit(sizes, jobs, checking)
    if jobs == 1 or len(cases) == 1:
        yield from (check_case(case, listener=listener, **options) for case in cases)
        return
    yield from _side_by_side(in_order_of_work(cases, sizes), jobs, listener, options)


def in_order_of_work(cases: Sequence[Case], sizes: Mapping[str, Size]) -> list[Case]:
    """Returns the cases as workers should get them: the longest first, so that none is left alone with it at the end.

    Before them all stands the shortest, so that a first result is soon there.
    """
    longest_first = sorted(cases, key=lambda case: sizes[case.name].work, reverse=True)
    return longest_first[-1:] + longest_first[:-1]


def _side_by_side(cases: Sequence[Case], jobs: int, listener: Listener, options: dict[str, Any]) -> Iterator[Result]:
    phases = get_context("spawn").SimpleQueue()
    with processes(jobs, _speak_into, phases) as pool:
        running: dict[Future, Case] = {pool.submit(_in_worker, case, options): case for case in cases}
        while running:
            ended, _ = wait(running, PAUSE, FIRST_COMPLETED)
            while not phases.empty():
                listener(*phases.get())
            for future in ended:
                yield _result(future, running.pop(future))


def _result(future: Future, case: Case) -> Result:
    try:
        return future.result()
    except BrokenProcessPool:  # for want of memory, as a rule
        return Result(case.name, case.section, 0, error="a worker was killed; fewer --jobs need less memory")


_phases: SimpleQueue  # of a worker: what its parent reads


def _speak_into(phases: SimpleQueue) -> None:
    global _phases
    _phases = phases


def _in_worker(case: Case, options: dict[str, Any]) -> Result:
    return check_case(case, listener=lambda *phase: _phases.put(phase), **options)


@seeded()
def check_case(case: Case, **options: Any) -> Result:
    """Checks one case of the catalogue; `options` are those of `Checking`.

    Models that cannot correspond or cannot run are the result's `error`, not an exception.
    """
    start = time.perf_counter()
    if options.get("full"):
        options |= {"steps": 1, "probes": 1, "layers": False}
    checking = Checking(**options)
    try:
        checking.listener(case.name, "two models")
        fresh = None if checking.full else FreshFlax(lambda: case.build(probe=True))
        twin = twin_of(case, full=checking.full, steps=checking.steps, flax=fresh and fresh.model)
        result = replace(check_twin(twin, **options), section=case.section)
        result = with_compiled(result, twin, checking.device, checking.tf32, by_itself=False)
        if fresh:
            checking.listener(case.name, "fresh models")
            result = with_start(result, compare_case(case, fresh, twin), fails=True)
    except InputError as error:
        result = Result(case.name, case.section, 0, error=str(error), refused=True)
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        result = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    finally:
        jax.clear_caches()  # a case's programs are gigabytes, and no other case needs them
    return replace(result, seconds=round(time.perf_counter() - start, 2))
