"""The growth of a check as a document, a table, a page and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from d2l_jax.errors import InputError
from parity.bench.check_growth import BASE, CheckGrowth
from parity.bench.check_report import PHASES, check_json, markdown_table
from parity.bench.picture import canvas

CAPTION = (
    "n: exponent with which time or memory grows with the size, over all sizes and between the last two; "
    "memory: by how much the process grew; steepest: the phase of the largest n among those of a tenth of the time"
)
HEADINGS = ("axis", "sizes", "seconds", "n", "n at the end", "memory, MB", "n", "n at the end", "steepest", "remark")
LARGE = 0.1  # the share of the last size's time from which a phase counts


def growth_json(growth: CheckGrowth) -> dict[str, Any]:
    """Returns one entry of the document's "growth"."""
    return {
        "axis": growth.axis,
        "sizes": list(growth.sizes),
        "seconds": growth.seconds,
        "exponent": growth.slope(growth.seconds),
        "exponent_at_the_end": growth.end_slope(growth.seconds),
        "bytes": growth.memory,
        "memory_exponent": growth.slope(growth.memory),
        "memory_exponent_at_the_end": growth.end_slope(growth.memory),
        "phase_exponents": phase_slopes(growth),
        "checks": [check_json(time) for time in growth.times],
    }


def phase_slopes(growth: CheckGrowth, share: float = 0.0) -> dict[str, float]:
    """Returns the exponents of the phases that take at least this share of the largest check."""
    slopes: dict[str, float] = {}
    for phase in PHASES:
        seconds = [phase.seconds(time) for time in growth.times]
        slope = growth.slope(seconds) if min(seconds) > 0 else None
        if slope is not None and seconds[-1] >= share * growth.seconds[-1]:
            slopes[phase.heading] = slope
    return slopes


def growth_table(growths: Sequence[CheckGrowth]) -> Table:
    """A line for each axis."""
    title = (
        f"How a check grows; otherwise width {BASE.width}, {BASE.layers} layers, {BASE.steps} steps, batch {BASE.batch}"
    )
    table = Table(title=title, caption=CAPTION, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("axis", "remark") else "right")
    for growth in growths:
        table.add_row(*_line(growth))
    return table


def growth_markdown(growths: Sequence[CheckGrowth]) -> str:
    """Formats the same table as markdown."""
    return markdown_table(HEADINGS, [_line(growth) for growth in growths])


def _line(growth: CheckGrowth) -> list[str]:
    steepest = max(phase_slopes(growth, LARGE).items(), key=lambda item: item[1], default=None)
    seconds = growth.seconds
    memory = growth.memory
    return [
        growth.axis,
        " ".join(f"{size:,}" for size in growth.sizes),
        " ".join(f"{s:.3g}" for s in seconds),
        _exponent(growth.slope(seconds)),
        _exponent(growth.end_slope(seconds)),
        " ".join(f"{b / 1e6:.0f}" for b in memory),
        _exponent(growth.slope(memory)),
        _exponent(growth.end_slope(memory)),
        f"{steepest[0]} {steepest[1]:.2f}" if steepest else "-",
        "; ".join(f"{time.name}: {time.error or time.status}" for time in growth.times if time.status != "pass"),
    ]


def growth_picture(growths: Sequence[CheckGrowth], path: str | Path) -> None:
    """A panel of time and one of memory for each axis, both scales logarithmic. Raises InputError for no growth."""
    shown = [growth for growth in growths if not growth.failed]
    if not shown:
        raise InputError("nothing to draw: no check has passed")
    figure, panels = canvas(4, 3.5, 2, len(shown))
    for (upper, lower), growth in zip(panels.T, shown, strict=True):
        _draw_time(upper, growth)
        _draw(lower, growth, [b / 1e6 for b in growth.memory], "memory")
        upper.set(ylabel="s", title=f"a check by {growth.axis}")
        lower.set(ylabel="MB")
    figure.savefig(path)


def _draw_time(panel: Any, growth: CheckGrowth) -> None:
    """Draws the whole time, and thinner the phases."""
    _draw(panel, growth, growth.seconds, "all")
    for phase in PHASES:
        if phase.heading in phase_slopes(growth):
            _draw(panel, growth, [phase.seconds(time) for time in growth.times], phase.heading, thin=True)


def _draw(panel: Any, growth: CheckGrowth, figures: Sequence[float], label: str, *, thin: bool = False) -> None:
    slope = growth.slope(figures)
    label = label if slope is None else f"{label}: n = {slope:.2f}"
    style = {"linewidth": 0.8, "markersize": 3} if thin else {"color": "black", "linewidth": 2}
    panel.plot(growth.sizes, figures, marker="o", label=label, **style)
    panel.set(xscale="log", yscale="log", xlabel=growth.axis)
    panel.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes], minor=False)
    panel.set_xticks([], minor=True)
    panel.legend(fontsize=6)


def _exponent(slope: float | None) -> str:
    return "-" if slope is None else f"{slope:.2f}"
