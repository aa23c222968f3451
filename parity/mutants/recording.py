"""PyTorch's run of an unchanged case, made once, and the places that Flax's side of it reaches."""

import ast
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from parity.mutants.instrument import NAME, Recorder, instrumented, resolved
from parity.mutants.loading import install, package_root
from parity.mutants.places import sites

if TYPE_CHECKING:
    from d2l_jax.case import Case
    from parity.result import Result

# Float64 decides; the second step has what the first has not: momentum, a schedule, statistics.
STEPS = 2
TIERS = ("float64",)


def run_file(folder: str, name: str) -> Path:
    """Returns the file of PyTorch's run of a case."""
    return Path(folder) / f"{name}.npz"


def record(name: str, files: list[str], path: Path) -> dict[str, Any]:
    """Writes PyTorch's run of a case, compares Flax's with it, and lists the places of the files that this reaches.

    No file of Flax's side may have been imported before.
    """
    recorder = Recorder()
    sources = {file: (package_root() / file).read_text("utf-8") for file in files}
    install({file: partial(instrumented, file=file) for file in files}, {NAME: recorder})
    from d2l_jax.catalog import get
    from parity.offline import save
    from parity.offline.recording import record_torch
    from parity.twin.pairing import twin_of

    case = get(name)
    imported = recorder.take()
    if case.draw:
        case.draw(np.random.default_rng(0))
    drawn = recorder.take()  # both sides share what they draw: a change there is none between them
    save(record_torch(twin_of(case, steps=STEPS), tiers=TIERS), path)
    jax.clear_caches()  # a function that has been traced would not run again
    recorder.take()
    start = time.perf_counter()
    result = _compared(case, path)
    if result is None:
        path.unlink()
        recorder.take()
        start = time.perf_counter()
        result = quick_result(case, path)
    seconds = round(time.perf_counter() - start, 2)
    places = [site.place for file, source in sources.items() for site in sites(ast.parse(source), source, file)]
    reached = [place.mark for place in resolved(recorder.take() - drawn, imported, places)]
    return {"status": result.status, "detail": detail_of(result), "seconds": seconds, "reached": reached}


def _compared(case: "Case", path: Path) -> "Result | None":
    """Compares Flax's run with PyTorch's file; None where that does not do, as without tensors to start from."""
    try:
        result = quick_result(case, path)
    except IndexError:
        return None
    finally:
        jax.clear_caches()
    return result if result.status == "pass" else None


def quick_result(case: "Case", path: Path) -> "Result":
    """Runs Flax's side of a case alone and compares it with PyTorch's run in the file, or else both."""
    from parity.offline import compare_recordings, load
    from parity.offline.recording import flax_twin, record_flax
    from parity.proof.cases import check_case
    from parity.twin.structure import with_shapes

    if not path.exists():
        return check_case(case, steps=STEPS, probes=2, tiers=TIERS, layers=False)
    pytorch = load(path)
    twin = flax_twin(with_shapes(lambda: case.build(probe=True)), pytorch, case.turns, case.checked)
    return compare_recordings(pytorch, record_flax(twin, pytorch, tiers=TIERS))


def phase_of(result: "Result") -> str:
    """Returns the phase of the first tensor that differs, fresh models last; nothing where none does."""
    phases = [row.key.phase for tier in result.rows.values() for row in tier if not row.passed]
    return next((phase for phase in phases if phase != "start"), phases[0] if phases else "")


def detail_of(result: "Result") -> str:
    """Returns the error of a result, or how many of its tensors differ."""
    if result.error:
        return result.error
    rows = [row for tier in result.rows.values() for row in tier]
    return f"{sum(not row.passed for row in rows)} of {len(rows)} tensors differ"
