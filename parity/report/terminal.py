"""The report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parity.compare.rows import Row
from parity.report.coverage import coverage
from parity.report.order import failures
from parity.report.wording import blunt_rows, describe, first_wrong, summary, tiers_of

if TYPE_CHECKING:  # where recordings are compared, rich may be missing
    from rich.console import Console
    from rich.table import Table

    from parity.result import Result

UNLIMITED = 10_000  # columns
STYLE = {"pass": "green", "fail": "red", "error": "red"}


def table(results: list[Result]) -> Table:
    """A line for each case: what was compared, and in each tier the tensor closest to its limit."""
    from rich.table import Table

    devices = {r.settings["devices"] for r in results if "devices" in r.settings}
    title = "Flax against PyTorch, from identical random weights"
    if {r.settings.get("weights") for r in results} == {"as they are"}:
        title = "Flax against PyTorch, from the weights that the models hold"
    if devices:
        title = f"A training step over {max(devices)} devices against the same on one"
        if kinds := {r.settings["batch_norm"] for r in results if r.settings.get("ddp")}:
            title = (
                f"A training step over {max(devices)} devices against DistributedDataParallel, batch norm {kinds.pop()}"
            )
    out = Table(title=title, box=None, padding=(0, 1, 0, 0), header_style="bold underline")
    out.add_column("", no_wrap=True)
    out.add_column("case", no_wrap=True)
    tiers = tiers_of(results)
    for header in ("parameters", "layers", "comparisons", *(f"{tier}\ngap limit" for tier in tiers)):
        out.add_column(header, justify="right", no_wrap=True)
    out.add_column("verdict", no_wrap=True)
    for r in results:
        compared = coverage(r)
        worst = [_margin(r.worst(tier), blunt_rows(r, tier)) for tier in tiers]
        counts = f"{r.params:,}", str(compared.layers), str(compared.rows)
        out.add_row(r.section, r.name, *counts, *worst, f"[{STYLE[r.status]}]{r.status}[/]")
    low = ", ".join(tier for tier in tiers if tier != "float64")
    out.caption = "float64: the same mathematics?" + (f"  {low}: as precise as PyTorch?" if low else "")
    if any(blunt_rows(r, tier) for r in results for tier in tiers):
        out.caption += "\nblunt: too ill-conditioned to tell, only gross errors would show"
    return out


def _margin(row: Row | None, blunt: int) -> str:
    if row is None:
        return "-"
    return f"{row.gap:.0e} {row.threshold:.0e}" + (f" ({blunt} blunt)" if blunt else "")


def show(console: Console, results: list[Result], environment: dict[str, Any]) -> None:
    """The report for people, on a console; where nothing could be compared, the reasons alone."""
    compared = not results or not all(result.refused for result in results)
    if compared:
        settings = " ".join(f"{key}={value}" for key, value in environment.items())
        console.print(settings, style="dim", highlight=False, soft_wrap=True)
        print_whole(console, table(results))
    for line in (line for result in results for line in details(result)):
        console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)
    for line in (f"{result.name}: {note}" for result in results for note in result.notes):
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if compared:
        console.print(summary(results), highlight=False, markup=False, soft_wrap=True)


def print_whole(console: Console, table: Table) -> None:
    """Prints each row on one line, however narrow the terminal: rich would cut numbers and names to fit."""
    width = console.width
    console.width = UNLIMITED
    console.print(table)
    console.width = width


def details(result: Result, limit: int = 8) -> list[str]:
    """Lists who is wrong first in a failure, then at most `limit` failing tensors, the earliest first."""
    if result.error:
        return [f"{result.name}: {result.error}"]
    bad = list(failures(result))
    lines = [f"{result.name}: {first_wrong(result)}"] if bad and result.blame else []
    lines += [f"{result.name}: {tier} {describe(row)}" for tier, row in bad[:limit]]
    return lines + ([f"{result.name}: ... and {len(bad) - limit} more"] if len(bad) > limit else [])
