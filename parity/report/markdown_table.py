"""The table of docs/results.md."""

from parity.compare.rows import Row
from parity.report.coverage import coverage
from parity.report.wording import summary, tiers_of
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
        worst = " | ".join(_cell(r.worst(tier)) for tier in tiers)
        lines.append(
            f"| {r.section} | {r.name} | {r.params:,} | {compared.layers} | {compared.rows} | {worst} | {r.status} |"
        )
    return "\n".join([*lines, "", summary(results) + ".", ""])


def _cell(row: Row | None) -> str:
    return "-" if row is None else f"{row.gap:.0e} ({row.threshold:.0e})"
