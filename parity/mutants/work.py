"""A worker's task: cases are checked with one expression changed, or with their places recorded."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parity.mutants.loading import install, package_root
from parity.mutants.places import changed
from parity.mutants.recording import detail_of, phase_of, quick_result, record, run_file


def perform(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Performs a task; nothing of Flax's side may have been imported before.

    {"record": a case's name, "files": [...], "folder"}: runs the case, and says which places of the files it reaches
    {"file", "number", "label", "folder", "runs": [[case, "quick" or "whole"], ...]}: checks the cases with the
    place changed, until one of them differs
    """
    if "record" in task:
        yield record(task["record"], task["files"], run_file(task["folder"], task["record"]))
        return
    file = task["file"]
    source = (package_root() / file).read_text("utf-8")
    tree = changed(source, file, task["number"], task["label"])
    install({file: lambda source: tree})
    try:
        for name, extent in task["runs"]:
            verdict = _check(name, None if extent == "whole" else run_file(task["folder"], name))
            yield verdict
            if verdict["status"] != "survived":
                return
    except Exception as error:  # an import or a run, which the change has broken
        yield {"status": "error", "detail": f"{type(error).__name__}: {error}"[:500]}


def _check(name: str, path: Path | None) -> dict[str, Any]:
    """Checks a case against PyTorch's run in a file; without one, as `parity check` does."""
    from d2l_jax.catalog import get
    from parity.proof.cases import check_case

    start = time.perf_counter()
    case = get(name)
    result = check_case(case) if path is None else quick_result(case, path)
    status = {"pass": "survived", "fail": "caught", "error": "error"}[result.status]
    seconds = time.perf_counter() - start
    return {"status": status, "case": name, "phase": phase_of(result), "detail": detail_of(result), "seconds": seconds}
