"""Whole runs as a document and as a table."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from parity.bench.whole_runs import PROGRAMS, WholeRun


def run_json(result: WholeRun) -> dict[str, Any]:
    """Returns one entry of the document's "runs"."""
    figures = {
        name: {"s": result.seconds[name], "test_accuracy": result.accuracies[name], "cpus_used_by_others": others}
        for name, others in result.others.items()
    }
    ratios = {"ratio": result.ratio("jax"), "ratio_cached": result.ratio("jax_cached")}
    return {
        "name": result.name,
        "batch": result.batch,
        "epochs": result.epochs,
        "data": result.source,
        "status": result.status,
        **figures,
        **ratios,
    }


def run_table(results: Sequence[WholeRun]) -> Table:
    """Seconds with the accuracy in brackets, and the ratios."""
    caption = "from the start of a process to the final accuracy; ratio: PyTorch's time over JAX's"
    table = Table(title="Whole runs: s (test accuracy)", caption=caption, box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for heading in ("batch", "epochs", *PROGRAMS.values(), "ratio", "ratio, compiled before"):
        table.add_column(heading, justify="right")
    table.add_column("remark")
    for r in results:
        cells = [f"{r.seconds[name]:.1f} ({r.accuracies[name]:.3f})" for name in PROGRAMS]
        ratios = ["-" if x is None else f"{x:.2f}" for x in (r.ratio("jax"), r.ratio("jax_cached"))]
        remark = "" if r.status == "ok" else "others used the machine"
        table.add_row(r.name, str(r.batch), str(r.epochs), *cells, *ratios, remark)
    return table
