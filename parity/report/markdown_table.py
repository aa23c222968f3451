"""The table of docs/results.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parity.compare.rows import Row
from parity.report.coverage import coverage
from parity.report.wording import blunt_rows, summary, tiers_of

if TYPE_CHECKING:
    from parity.result import Result


def markdown(results: list[Result]) -> str:
    """Lists per case what was compared and, in each tier, the tensor that is closest to its limit."""
    tiers = tiers_of(results)
    headers = [f"{tier}: {'gap' if tier == 'float64' else 'error'} (limit)" for tier in tiers]
    lines = [
        f"| | case | parameters | layers | comparisons | {' | '.join(headers)} | |",
        f"|--|--|--:|--:|--:|{'--:|' * len(tiers)}--|",
    ]
    for r in results:
        compared = coverage(r)
        worst = " | ".join(_cell(r.worst(tier), blunt_rows(r, tier)) for tier in tiers)
        lines.append(
            f"| {r.section} | {r.name} | {r.params:,} | {compared.layers} | {compared.rows} | {worst} | {r.status} |"
        )
    return "\n".join([*lines, "", summary(results) + ".", ""])


def _cell(row: Row | None, blunt: int) -> str:
    if row is None:
        return "-"
    return f"{row.gap:.0e} ({row.threshold:.0e})" + (f", {blunt} blunt" if blunt else "")
