"""A worker's task: cases are checked with one expression changed, or with their places recorded."""

import time
from collections.abc import Iterator
from typing import Any

from parity.mutants.loading import install, package_root
from parity.mutants.places import changed
from parity.mutants.recording import QUICK, detail_of, record

WHOLE: dict[str, Any] = {}


def perform(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Performs a task; nothing of Flax's side may have been imported before.

    {"record": a case's name, "files": [...]}: checks the case, and says which places of the files it reaches
    {"file", "number", "label", "runs": [[case, "quick" or "whole"], ...]}: checks the cases with the place changed,
    until one of them differs
    """
    if "record" in task:
        yield record(task["record"], task["files"])
        return
    file = task["file"]
    source = (package_root() / file).read_text("utf-8")
    tree = changed(source, file, task["number"], task["label"])
    install({file: lambda source: tree})
    try:
        for name, extent in task["runs"]:
            verdict = _check(name, WHOLE if extent == "whole" else QUICK)
            yield verdict
            if verdict["status"] != "survived":
                return
    except Exception as error:  # of an import, which the change has broken
        yield {"status": "error", "detail": f"{type(error).__name__}: {error}"}


def _check(name: str, options: dict[str, Any]) -> dict[str, Any]:
    from d2l_jax.catalog import get
    from parity.proof.cases import check_case

    start = time.perf_counter()
    result = check_case(get(name), **options)
    status = {"pass": "survived", "fail": "caught", "error": "error"}[result.status]
    return {"status": status, "case": name, "detail": detail_of(result), "seconds": time.perf_counter() - start}
