"""A small benchmark, and made-up results, for the tests of the bench."""

import io

from rich.console import Console

from d2l_jax.catalog import get
from parity.bench.phase import Timed
from parity.bench.plan import Plan
from parity.bench.programs import Start
from parity.bench.result import BenchResult
from parity.bench.steps import bench_cases
from parity.bench.timing import Measurement, Stats

MLP = get("mlp")
START = Start((0.5, 0.1, 0.1), (2.0, 1.5, 1.0), 0.4)


def measured(times, others=0.0):
    return Measurement({name: Stats.of([t] * 5) for name, t in times.items()}, others, 1, 0)


def phase(others=0.0, gap=0.0, **more):
    times = {"jax": 0.002, "torch_eager": 0.003, "torch_compile": 0.001} | more
    gaps = {"jax": (0.0, gap, 0.0), "torch_compile": (0.0, 0.0, 0.0)}
    return Timed(dict.fromkeys(times, START), {}, gaps, "", measured=measured(times, others))


def result(others=0.0, gap=0.0, name="x", **more):
    return BenchResult(name, (2, 3), 4, phase(others, gap, **more), phase())


def bench(case, **options):
    progress = {"progress": options.pop("progress")} if "progress" in options else {}
    settings = {"batch_size": 4, "repeats": 5, "seconds": 0.1, "compile": False} | options
    return bench_cases([case], Plan(**settings), **progress)[0]


def shown(*tables):
    console = Console(width=250, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()
