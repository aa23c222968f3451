"""The check of an unchanged case, with a record of the places that it reaches."""

import ast
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from parity.mutants.instrument import NAME, Recorder, instrumented, resolved
from parity.mutants.loading import install, package_root
from parity.mutants.places import sites

if TYPE_CHECKING:
    from parity.result import Result

# Float64 decides; the second step has what the first has not: momentum, a schedule, statistics.
QUICK = {"steps": 2, "probes": 2, "tiers": ("float64",), "layers": False}


def record(name: str, files: list[str]) -> dict[str, Any]:
    """Checks the case called `name`, and lists the marks of the places of the files that it reaches.

    No file of Flax's side may have been imported before.
    """
    recorder = Recorder()
    sources = {file: (package_root() / file).read_text("utf-8") for file in files}
    install({file: partial(instrumented, file=file) for file in files}, {NAME: recorder})
    from d2l_jax.catalog import get
    from parity.proof.cases import check_case

    case = get(name)
    imported, recorder.marks = recorder.marks, set()
    if case.draw:
        case = replace(case, draw=_unrecorded(recorder, case.draw))
    start = time.perf_counter()
    result = check_case(case, **QUICK)
    seconds = round(time.perf_counter() - start, 2)
    places = [site.place for file, source in sources.items() for site in sites(ast.parse(source), source, file)]
    reached = [place.mark for place in resolved(recorder.marks, imported, places)]
    return {"status": result.status, "detail": detail_of(result), "seconds": seconds, "reached": reached}


def _unrecorded(recorder: Recorder, draw: Any) -> Any:
    """Returns the drawing of a batch without recording: both sides get the same batch, whatever is changed there."""

    def draws(random: Any) -> Any:
        recorder.on = False
        try:
            return draw(random)
        finally:
            recorder.on = True

    return draws


def detail_of(result: "Result") -> str:
    """Returns the error of a result, or how many of its tensors differ."""
    if result.error:
        return result.error
    rows = [row for tier in result.rows.values() for row in tier]
    return f"{sum(not row.passed for row in rows)} of {len(rows)} tensors differ"
