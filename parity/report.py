"""Results as a table for people, JSON for machines and one HTML page."""

import io
import json
import math
from typing import Any

from rich.console import Console
from rich.table import Table

from parity.check import Result
from parity.compare import BLUNT, Row

TIERS = ("float64", "float32")
STYLE = {"pass": "green", "fail": "red", "error": "red"}


def table(results: list[Result]) -> Table:
    """One line per case: what was compared, and in each tier the tensor closest to its limit."""
    title = "Flax against PyTorch, from identical random weights"
    out = Table(title=title, box=None, padding=(0, 1, 0, 0), header_style="bold underline")
    out.add_column("", no_wrap=True)
    out.add_column("case", no_wrap=True)
    for header in ("parameters", "tensors", *(f"{tier}\ngap limit" for tier in TIERS)):
        out.add_column(header, justify="right", no_wrap=True)
    out.add_column("verdict", no_wrap=True)
    for r in results:
        compared = str(sum(map(len, r.rows.values())))
        worst = [_margin(r.worst(tier)) for tier in TIERS]
        out.add_row(r.section, r.name, f"{r.params:,}", compared, *worst, f"[{STYLE[r.status]}]{r.status}[/]")
    out.caption = "float64: the same mathematics?  float32: as precise as PyTorch?"
    return out


def _margin(row: Row | None) -> str:
    return "-" if row is None else f"{row.gap:.0e} {row.threshold:.0e}"


def markdown(results: list[Result]) -> str:
    """The table of the README: per case and tier the tensor that is closest to its limit."""
    lines = [
        "| | case | parameters | tensors | float64: gap (limit) | float32: error (limit) | |",
        "|--|--|--:|--:|--:|--:|--|",
    ]
    for r in results:
        compared = sum(map(len, r.rows.values()))
        worst = " | ".join(_cell(r.worst(tier)) for tier in TIERS)
        lines.append(f"| {r.section} | {r.name} | {r.params:,} | {compared} | {worst} | {r.status} |")
    return "\n".join([*lines, "", summary(results) + ".", ""])


def _cell(row: Row | None) -> str:
    return "-" if row is None else f"{row.gap:.0e} ({row.threshold:.0e})"


def html(results: list[Result], environment: dict[str, Any]) -> str:
    """One self-contained page: the settings, the table, every failure."""
    console = Console(record=True, width=130, file=io.StringIO())
    show(console, results, environment)
    return console.export_html()


def show(console: Console, results: list[Result], environment: dict[str, Any]) -> None:
    """The report for people, on a console."""
    settings = " ".join(f"{key}={value}" for key, value in environment.items())
    console.print(settings, style="dim", highlight=False, soft_wrap=True)
    console.print(table(results))
    for line in (line for result in results for line in details(result)):
        console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)
    console.print(summary(results), highlight=False, soft_wrap=True)


def details(result: Result, limit: int = 8) -> list[str]:
    """A line for every failing tensor, the earliest phase first, at most `limit`."""
    if result.error:
        return [f"{result.name}: {result.error}"]
    bad = [(tier, row) for tier, rows in result.rows.items() for row in rows if not row.passed]
    lines = [f"{result.name}: {tier} {describe(row)}" for tier, row in bad[:limit]]
    return lines + ([f"{result.name}: ... and {len(bad) - limit} more"] if len(bad) > limit else [])


def describe(row: Row) -> str:
    return f"{row.phase}/{row.name}: gap {row.gap:.1e}, threshold {row.threshold:.1e} ({row.because})"


def summary(results: list[Result]) -> str:
    """How many passed, and the largest float64 gap of the run with its place."""
    passed = sum(r.status == "pass" for r in results)
    rows = [(row, r) for r in results for row in r.rows.get("float64", []) if math.isfinite(row.gap)]
    text = f"{passed} of {len(results)} cases pass"
    if not rows:
        return text
    row, result = max(rows, key=lambda pair: pair[0].gap)
    compared = sum(len(r.rows[tier]) for r in results for tier in r.rows)
    blunt = sum(row.because.startswith(BLUNT) for r in results for row in r.rows.get("float32", []))
    if blunt:
        text += f" (in float32, {blunt} tensors are so ill-conditioned that only gross errors would show)"
    return (
        f"{text}; {compared} tensors compared; the largest float64 gap is {row.gap:.1e}"
        f" ({result.name}, {row.phase}/{row.name}; threshold {row.threshold:.1e}: {row.because})"
    )


def to_json(results: list[Result], environment: dict[str, Any]) -> str:
    """The document of `parity check --json`; an infinite gap (nothing could be compared) is null."""
    cases = [
        {
            "name": r.name,
            "section": r.section,
            "status": r.status,
            "params": r.params,
            "seconds": r.seconds,
            **({"error": r.error} if r.error else {}),
            "phases": [phase for tier, rows in r.rows.items() for phase in _phases(tier, rows)],
        }
        for r in results
    ]
    return json.dumps({"environment": environment, "cases": cases}, indent=1)


def _phases(tier: str, rows: list[Row]) -> list[dict[str, Any]]:
    by_phase: dict[str, list[Row]] = {}
    for row in rows:
        by_phase.setdefault(row.phase, []).append(row)
    return [
        {
            "phase": phase,
            "tier": tier,
            "status": "pass" if all(row.passed for row in members) else "fail",
            "rows": [_fields(row) for row in members],
        }
        for phase, members in by_phase.items()
    ]


def _fields(row: Row) -> dict[str, Any]:
    gap = row.gap if math.isfinite(row.gap) else None
    return {
        "name": row.name, "gap": gap, "threshold": row.threshold, "because": row.because, "status": row.status
    }  # fmt: skip
