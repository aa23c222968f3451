"""What the benchmark found, as the document of `parity bench --json`: seconds, bytes, null where there is none."""

import math
from collections.abc import Sequence
from typing import Any

from parity.bench import roofline
from parity.bench.agreement import TOLERANCE
from parity.bench.conditions import cpu_threads
from parity.bench.means import geometric_means
from parity.bench.phase import MODES, Timed
from parity.bench.precision import Precision, dtype_of
from parity.bench.result import BenchResult
from parity.bench.roofline import Ceilings

METHOD = "one process; rounds in which each program has a block of its own after untimed lead-in calls"


def to_json(
    results: Sequence[BenchResult],
    environment: dict[str, Any],
    precision: Precision = "highest",
    roof: Ceilings | None = None,
) -> dict[str, Any]:
    """The settings, a record for each case, and the geometric means of the ratios."""
    threads = cpu_threads()
    conditions = {"dtype": dtype_of(precision), "precision": precision, "method": METHOD}
    conditions |= {"loss_tolerance": list(TOLERANCE[precision])}
    return {
        "environment": environment | {"jax_threads": threads, "torch_threads": threads} | conditions,
        "cases": [_case(r) | ({"roofline": roofline.to_json(r, roof)} if roof else {}) for r in results],
        "geometric_mean": geometric_means(results),
        **({"ceilings": roof._asdict()} if roof else {}),
    }


def _case(result: BenchResult) -> dict[str, Any]:
    training = result.training
    return {
        "name": result.name,
        "batch": result.inputs[0] if result.inputs else 0,
        "book_batch": result.book_batch,
        "inputs": list(result.inputs),
        "status": result.status,
        **({"error": result.error} if result.error else {}),
        **{program: _program(training, program, result.error) for program in _programs(training)},
        "ratio_eager": result.ratio_eager,
        "ratio_compile": result.ratio_compile,
        "ratio_eager_of_minima": result.ratio("torch_eager", "minimum"),
        "ratio_compile_of_minima": result.ratio("torch_compile", "minimum"),
        "compile_time_ratio": result.compile_time_ratio,
        **_circumstances(training),
        "evaluation": _evaluation(result),
        "gflop": None if result.flops is None else result.flops / 1e9,
        **({"memory": {f"{name}_bytes": peak for name, peak in result.memory.items()}} if result.memory else {}),
    }


def _programs(phase: Timed) -> list[str]:
    graphs = "torch_graphs" in phase.started or "torch_graphs" in phase.missing
    return ["jax", "torch_eager", *(name for name in MODES if graphs or name == "torch_compile")]


def _evaluation(result: BenchResult) -> dict[str, Any]:
    phase = result.evaluation
    medians = {name: phase.stats(name) for name in _programs(phase)}
    return {
        "status": "error" if result.error else phase.status,
        **{f"{name}_s": stats and stats.median for name, stats in medians.items()},
        "ratio_eager": phase.ratio("torch_eager"),
        "ratio_compile": phase.ratio("torch_compile"),
        **{name: _program(phase, name, result.error) for name in medians},
        **_circumstances(phase),
    }


def _circumstances(phase: Timed) -> dict[str, Any]:
    measured = phase.measured
    return {
        "torch_layout": phase.layout,
        "torch_layouts_s": phase.layouts,
        "agreement": {
            "compared": phase.compared,
            "relative_gaps": {name: _finite(gaps) for name, gaps in phase.gaps.items()},
            "torch_by_one_bit": _finite(phase.by_one_bit),
        },
        "cpus_used_by_others": measured and measured.others,
        "rounds": measured and measured.rounds,
        "rounds_left_out": measured and measured.left_out,
    }


def _program(phase: Timed, name: str, error: str) -> dict[str, Any]:
    start = phase.started.get(name)
    stats = phase.stats(name)
    if start is None:
        return {"compile_s": None, "step_s": None, "reason": phase.missing.get(name, error)}
    return {
        **({} if name == "torch_eager" else {"compile_s": start.compile_s}),
        **({"footprint_bytes": start.footprint} if name == "jax" else {}),
        "step_s": stats and stats.median,
        "min_s": stats and stats.minimum,
        "iqr_s": stats and stats.iqr,
        "repeats": stats and stats.number,
        "first_calls_s": list(start.first_calls_s),
        "losses": _finite(start.losses),
    }


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
