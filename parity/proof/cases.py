"""Cases of the catalogue are checked, one after another or side by side."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import jax

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.proof.checking import Checking
from parity.proof.proof import check_twin
from parity.result import Result
from parity.twin.pairing import twin_of


def check_cases(cases: Sequence[Case], *, jobs: int = 1, **options: Any) -> Iterator[Result]:
    """Yields the result of each case as soon as it is there; `jobs` processes work side by side.

    options: of `Checking`

    Compiling takes most of the time and keeps one core busy, so that two processes on two cores halve it.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
    Checking(**options)
    run = partial(check_case, **options)
    if jobs == 1 or len(cases) == 1:
        yield from map(run, cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run, case): case for case in cases}
        for future in as_completed(waiting):
            case = waiting[future]
            try:
                yield future.result()
            except BrokenProcessPool:  # for want of memory, as a rule
                yield Result(case.name, case.section, 0, error="a worker was killed; fewer --jobs need less memory")


def check_case(case: Case, **options: Any) -> Result:
    """Checks one case of the catalogue; `options` are those of `Checking`.

    Models that cannot correspond or cannot run are the result's `error`, not an exception.
    """
    start = time.perf_counter()
    if options.get("full"):
        options |= {"steps": 1, "probes": 1, "layers": False}
    checking = Checking(**options)
    try:
        twin = twin_of(case, full=checking.full, steps=checking.steps)
        result = replace(check_twin(twin, **options), section=case.section)
    except InputError as error:
        result = Result(case.name, case.section, 0, error=str(error), refused=True)
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        result = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    finally:
        jax.clear_caches()  # a case's programs are gigabytes, and no other case needs them
    return replace(result, seconds=round(time.perf_counter() - start, 2))
