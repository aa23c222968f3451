"""From the options of `parity bench` to a report: the figures, as a document, a table and a picture."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from d2l_jax.case import Case
from d2l_jax.cpu.memory import keep_memory
from parity.bench.check_growth import check_growths
from parity.bench.check_growth_report import growth_json, growth_markdown, growth_picture, growth_table
from parity.bench.check_report import check_json, check_markdown, check_table
from parity.bench.check_times import check_times
from parity.bench.conditions import cpu_threads, matmul_precision
from parity.bench.document import to_json
from parity.bench.epochs import epoch_comparison
from parity.bench.epochs_report import epoch_json, epoch_table
from parity.bench.options import BenchOptions
from parity.bench.picture import bench_picture
from parity.bench.report import bench_markdown, bench_tables, means_lines
from parity.bench.roofline import ceilings
from parity.bench.scale import scale
from parity.bench.scale_report import scale_json, scale_picture, scale_table
from parity.bench.steps import bench_cases
from parity.bench.whole_runs import WholeRun, whole_run
from parity.bench.whole_runs_report import run_json, run_table
from parity.environment import environment

Progress = Callable[[str, str], None]


class Report(NamedTuple):
    """The report that a benchmark gives to the terminal and to files.

    settings: in force, in the document too
    lines:    below the table
    failed:   whether something failed or losses disagreed
    """

    settings: dict[str, Any]
    document: dict[str, Any]
    table: Any
    lines: Sequence[str] = ()
    markdown: Callable[[], str] = str
    draw: Callable[[Path], None] = lambda path: None
    failed: bool = False


def bench(options: BenchOptions, cases: Sequence[Case], progress: Progress) -> Report:
    """Times the cases. Raises InputError for a wrong argument."""
    # Of both frameworks, before either has a thread; a check is timed as users have it.
    freed = "kept" if not options.check and keep_memory() else "as the system does"
    settings = environment(options.device, threads=cpu_threads(), tf32=options.precision == "tf32")
    settings |= {
        "precision": options.precision,
        "freed_memory": freed,
        "jax_matmul_precision": matmul_precision(options.precision),
    }
    return BY_MODE[options.mode](options, cases, settings, progress)


def _steps(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    plan = options.plan()
    roof = ceilings(plan.device, plan.precision) if plan.roofline else None
    results = bench_cases(cases, plan, progress)
    document = to_json(results, settings, plan.precision, roof)
    failed = any(result.status in ("error", "disagree") for result in results)
    markdown = partial(bench_markdown, results, roof)
    draw = partial(bench_picture, results, roof=roof)
    return Report(settings, document, bench_tables(results, roof), means_lines(results), markdown, draw, failed)


def _scale(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    results = scale(cases, options.plan(), progress)
    document = {"environment": settings, "scale": [scale_json(result) for result in results]}
    failed = any(result.status in ("error", "disagree") for result in results)
    return Report(settings, document, scale_table(results), draw=partial(scale_picture, results), failed=failed)


def _epochs(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    results = [
        epoch_comparison(case, batch_size=options.batch_size, most=options.examples, progress=progress)
        for case in cases
    ]
    document = {"environment": settings, "epochs": [epoch_json(result) for result in results]}
    failed = any(result.status == "disagree" for result in results)
    return Report(settings, document, epoch_table(results), failed=failed)


def _runs(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    def run(case: Case) -> WholeRun:
        return whole_run(case, epochs=options.epochs, batch_size=options.batch_size, tell=partial(progress, case.name))

    results = [run(case) for case in cases]
    document = {"environment": settings, "runs": [run_json(result) for result in results]}
    return Report(settings, document, run_table(results))


def _checks(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    times = check_times(cases, progress)
    document = {"environment": settings, "checks": [check_json(time) for time in times]}
    failed = any(time.status != "pass" for time in times)
    return Report(settings, document, check_table(times), markdown=partial(check_markdown, times), failed=failed)


def _growth(options: BenchOptions, cases: Sequence[Case], settings: dict[str, Any], progress: Progress) -> Report:
    growths = check_growths(progress=progress)
    document = {"environment": settings, "growth": [growth_json(growth) for growth in growths]}
    return Report(
        settings,
        document,
        growth_table(growths),
        markdown=partial(growth_markdown, growths),
        draw=partial(growth_picture, growths),
        failed=any(growth.failed for growth in growths),
    )


BY_MODE = {"steps": _steps, "epoch": _epochs, "scale": _scale, "run": _runs, "check": _checks, "growth": _growth}
