"""A forked worker's task: cases are checked with one expression changed, or with their places recorded."""

import ast
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from parity.mutants.loading import install, package_root
from parity.mutants.places import changed, sites
from parity.mutants.recording import NAME, Recorder, recorded, resolved

if TYPE_CHECKING:
    from parity.result import Result

# Float64 decides; the second step has what the first has not: momentum, a schedule, statistics.
QUICK = {"steps": 2, "probes": 2, "tiers": ("float64",), "layers": False}
WHOLE: dict[str, Any] = {}


def perform(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Performs a task; nothing of Flax's side may have been imported before.

    {"record": a case's name, "files": [...]}: checks the case, and says which places of the files it reaches
    {"file", "number", "label", "runs": [[case, "quick" or "whole"], ...]}: checks the cases with the place changed,
    until one of them differs
    """
    if "record" in task:
        yield _record(task["record"], task["files"])
        return
    try:
        install({task["file"]: lambda source: changed(source, task["file"], task["number"], task["label"])[0]})
        for name, extent in task["runs"]:
            verdict = _check(name, WHOLE if extent == "whole" else QUICK)
            yield verdict
            if verdict["status"] != "survived":
                return
    except Exception as error:  # whatever it is, the change has caused it
        yield {"status": "error", "detail": f"{type(error).__name__}: {error}"}


def _check(name: str, options: dict[str, Any]) -> dict[str, Any]:
    from d2l_jax.catalog import get
    from parity.proof.cases import check_case

    start = time.perf_counter()
    result = check_case(get(name), **options)
    status = {"pass": "survived", "fail": "caught", "error": "error"}[result.status]
    return {"status": status, "case": name, "detail": _detail(result), "seconds": time.perf_counter() - start}


def _detail(result: "Result") -> str:
    if result.error:
        return result.error
    rows = [row for tier in result.rows.values() for row in tier]
    return f"{sum(not row.passed for row in rows)} of {len(rows)} tensors differ"


def _record(name: str, files: list[str]) -> dict[str, Any]:
    recorder = Recorder()
    sources = {file: (package_root() / file).read_text("utf-8") for file in files}
    install({file: partial(recorded, file=file) for file in files}, {NAME: recorder})
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
    return {"status": result.status, "detail": _detail(result), "seconds": seconds, "reached": reached}


def _unrecorded(recorder: Recorder, draw: Any) -> Any:
    """Returns the drawing of a batch without recording: both sides get the same batch, whatever is changed there."""

    def draws(random: Any) -> Any:
        recorder.on = False
        try:
            return draw(random)
        finally:
            recorder.on = True

    return draws
