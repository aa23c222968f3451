"""Whole epochs as a document and as a table."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from parity.bench.epochs import LOADERS, EpochResult
from parity.bench.timing import Stats


def epoch_json(result: EpochResult) -> dict[str, Any]:
    """Returns one entry of the document's "epochs"; times in seconds."""
    others = ("torch_memory", *LOADERS)
    return {
        "name": result.name,
        "batch": result.batch,
        "examples": result.examples,
        "data": result.source,
        "status": result.status,
        "compile_s": result.compile_s,
        "transfer_s": result.transfer_s,
        "loss_gap": result.gap if math.isfinite(result.gap) else None,
        **{name: _stats_json(stats, result.others[name]) for name, stats in result.stats.items()},
        **{f"ratio_{name}": result.ratio(name) for name in others},
    }


def _stats_json(stats: Stats, others: float | None) -> dict[str, Any]:
    return {
        "epoch_s": stats.median,
        "min_s": stats.minimum,
        "epochs": stats.number,
        "cpus_used_by_others": others,
    }


def epoch_table(results: Sequence[EpochResult]) -> Table:
    """Seconds per epoch, with the ratio to JAX in brackets."""
    caption = "whole epochs, training only; (ratio): PyTorch's time over JAX's, - where others used the machine"
    table = Table(title="One epoch, s", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    headings = "batch", "JAX,\none scan", "PyTorch,\nin memory", "\nDataLoader", "DataLoader,\n2 workers"
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("remark")
    for result in results:
        cells = [f"{result.stats['jax'].median:.3g}"]
        cells += [_cell(result, name) for name in ("torch_memory", *LOADERS)]
        remark = "" if result.status == "ok" else result.status
        table.add_row(result.name, str(result.batch), *cells, remark)
    return table


def _cell(result: EpochResult, name: str) -> str:
    ratio = result.ratio(name)
    return f"{result.stats[name].median:.3g} ({'-' if ratio is None else f'{ratio:.1f}'})"
