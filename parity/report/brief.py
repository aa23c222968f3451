"""A result in about ten lines: its repr, a failing test's text, and a cell of a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from parity.report.coverage import coverage
from parity.report.order import failures, ratio
from parity.report.style import FRAGMENT
from parity.report.wording import describe, first_wrong

if TYPE_CHECKING:
    from parity.result import Result

ROWS = 5
AT_RANDOM = "random"


def brief(result: Result) -> str:
    """Returns the verdict and what it rests on; of a failure the guilty place, and the rows furthest beyond."""
    return "\n  ".join(_lines(result))


def _lines(result: Result) -> list[str]:
    if result.status == "error":
        return [f"{result.name}: {result.error or 'nothing was compared'}"]
    lines = _passing(result) if result.status == "pass" else _failing(result)
    if blunt := coverage(result).blunt:
        lines.append(f"{blunt} tensors are too ill-conditioned to tell in low precision: only gross errors would show")
    return [*lines, about_weights(result)]


def _passing(result: Result) -> list[str]:
    worst = [(tier, result.worst(tier)) for tier in result.rows]
    nearest = [f"{tier}, nearest to its limit: {describe(row)}" for tier, row in worst if row]
    counts = coverage(result)
    return [f"{result.name}: pass; {counts.rows:,} comparisons: {counts}", *nearest]


def _failing(result: Result) -> list[str]:
    bad = sorted(failures(result), key=lambda failure: ratio(failure[1]), reverse=True)
    compared = sum(map(len, result.rows.values()))
    lines = [f"{result.name}: Flax and PyTorch differ in {len(bad):,} of {compared:,} comparisons"]
    lines += filter(None, [first_wrong(result)])
    lines += [f"{tier} {describe(row)}" for tier, row in bad[:ROWS]]
    return lines + ([f"... and {len(bad) - ROWS:,} more"] if len(bad) > ROWS else [])


def about_weights(result: Result) -> str:
    """Says which weights were compared: a pair that agrees at random ones may still start otherwise."""
    kind = result.settings.get("weights", AT_RANDOM)
    if kind != AT_RANDOM:
        return f"weights: {kind}"
    remedy = '; weights="as they are" compares those that the two models hold' if result.weights else ""
    return f"weights: drawn at random for both{remedy}"


def notebook(result: Result) -> str:
    """Returns the same as a piece of HTML: the verdict, the cause, and a table of the rows."""
    first, *others = _lines(result)
    if result.status == "error":
        return f'<div class="parity">{FRAGMENT}<p class="error"><b>{escape(first)}</b></p></div>'
    bad = sorted(failures(result), key=lambda failure: ratio(failure[1]), reverse=True)[:ROWS]
    worst = bad or [(tier, row) for tier in result.rows if (row := result.worst(tier))]
    cells = [(tier, str(row.key), f"{row.gap:.1e}", f"{row.threshold:.1e}", row.because) for tier, row in worst]
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in cells)
    head = "".join(f"<th>{name}</th>" for name in ("precision", "tensor", "gap", "limit", "limit because"))
    blame = f'<p class="blame">{escape(first_wrong(result))}</p>' if result.blame and bad else ""
    return (
        f'<div class="parity">{FRAGMENT}<p class="{result.status}"><b>{escape(first)}</b></p>{blame}'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{escape(others[-1])}</p></div>"
    )
