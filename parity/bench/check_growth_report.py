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
from parity.bench.scale_report import exponent_text
from parity.bench.usage import undisturbed

CAPTION = (
    "n: exponent with which time or memory grows with the size, over all sizes and between the last two; "
    "memory: by how much the process grew; steepest: the phase of the largest n among those of a tenth of the time"
)
HEADINGS = ("axis", "sizes", "seconds", "n", "n at the end", "memory, MB", "n", "n at the end", "steepest", "remark")
LARGE = 0.1  # the share of the last size's time from which a phase is named
DRAWN = 0.02  # and drawn


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
        exponent_text(growth.slope(seconds)),
        exponent_text(growth.end_slope(seconds)),
        " ".join(f"{b / 1e6:.0f}" for b in memory),
        exponent_text(growth.slope(memory)),
        exponent_text(growth.end_slope(memory)),
        f"{steepest[0]} {steepest[1]:.2f}" if steepest else "-",
        _remark(growth),
    ]


def _remark(growth: CheckGrowth) -> str:
    remarks = [f"{time.name}: {time.error or time.status}" for time in growth.times if time.status != "pass"]
    disturbed = [time.others for time in growth.times if not undisturbed(time.others)]
    if disturbed:
        remarks.append(f"others used up to {max(filter(None, disturbed)):.1f} CPUs meanwhile")
    return "; ".join(remarks)


def growth_picture(growths: Sequence[CheckGrowth], path: str | Path) -> None:
    """A panel of time and one of memory for each axis, both scales logarithmic. Raises InputError for no growth."""
    shown = [growth for growth in growths if not growth.failed]
    if not shown:
        raise InputError("nothing to draw: no check has passed")
    figure, panels = canvas(4, 4, 2, len(shown))
    for (upper, lower), growth in zip(panels.T, shown, strict=True):
        _draw_time(upper, growth)
        _draw(lower, growth, [b / 1e6 for b in growth.memory], "memory")
        upper.set(ylabel="s", title=f"Time of a check by {growth.axis}")
        lower.set(ylabel="MB", title=f"Memory of a check by {growth.axis}")
    for row in panels:  # one scale for all axes, and room for the legend
        lowest, highest = (f(limit for panel in row for limit in panel.get_ylim()) for f in (min, max))
        for panel in row:
            panel.set_ylim(lowest, highest * (highest / lowest) ** 0.5)
    figure.savefig(path)


def _draw_time(panel: Any, growth: CheckGrowth) -> None:
    """Draws the whole time, and thinner the phases."""
    _draw(panel, growth, growth.seconds, "all")
    drawn = phase_slopes(growth, DRAWN)
    for number, phase in enumerate(PHASES):
        if phase.heading in drawn:
            _draw(panel, growth, [phase.seconds(time) for time in growth.times], phase.heading, f"C{number}")


def _draw(panel: Any, growth: CheckGrowth, figures: Sequence[float], label: str, color: str = "black") -> None:
    slope = growth.slope(figures)
    label = label if slope is None else f"{label}: n = {slope:.2f}"
    width = 2 if color == "black" else 1
    panel.plot(growth.sizes, figures, marker="o", markersize=3 * width, color=color, linewidth=width, label=label)
    panel.set(xscale="log", yscale="log", xlabel=growth.axis)
    panel.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes], minor=False)
    panel.set_xticks([], minor=True)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("")
    panel.legend(fontsize=7, loc="upper left")
