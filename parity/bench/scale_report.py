"""How models grow, as a document, a table and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from d2l_jax.errors import InputError
from parity.bench.axes import AXES
from parity.bench.picture import canvas
from parity.bench.scale import PROGRAMS, Growth


def scale_json(result: Growth) -> dict[str, Any]:
    """Returns one entry of the document's "scale"."""
    times = {name: {"step_s": result.seconds(name), "exponent": result.slope(name)} for name in PROGRAMS}
    return {
        "name": result.name,
        "axis": result.axis,
        "status": result.status,
        **({"error": result.error} if result.error else {}),
        "sizes": list(result.values),
        **times,
        "jax_memory": {"bytes": list(result.memory), "exponent": result.memory_slope},
    }


def scale_table(results: Sequence[Growth]) -> Table:
    """Milliseconds at each size; the exponent n of time or memory = c * size ** n."""
    caption = "n: exponent with which time or memory grows with the size; memory: JAX's arguments and temporaries"
    table = Table(title="How a training step grows", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("model", "axis"):
        table.add_column(heading, no_wrap=True)
    for heading in ("sizes", "JAX, ms", "n", "PyTorch, ms", "n", "memory, MB", "n"):
        table.add_column(heading, justify="right")
    table.add_column("remark")
    for r in results:
        times = [text for name in PROGRAMS for text in (_row(r.seconds(name), 1e3), exponent_text(r.slope(name)))]
        cells = [" ".join(map(str, r.values)), *times, _row(r.memory, 1e-6), exponent_text(r.memory_slope)]
        table.add_row(r.name, r.axis, *cells, r.error or ("" if r.status == "ok" else r.status))
    return table


def scale_picture(results: Sequence[Growth], path: str | Path) -> None:
    """A row per model, a panel per axis, both scales logarithmic. Raises InputError where nothing was timed."""
    shown = [r for r in results if any(r.seconds("jax"))]
    if not shown:
        raise InputError("nothing to draw: no model was timed")
    names = list(dict.fromkeys(r.name for r in shown))
    axes = [a for a in AXES if any(r.axis == a for r in shown)]
    figure, panels = canvas(3.5, 3, len(names), len(axes))
    for panel in panels.flat:
        panel.set_visible(False)
    for r in shown:
        _draw(panels[names.index(r.name)][axes.index(r.axis)], r)
    figure.savefig(path)


def _draw(panel: Any, result: Growth) -> None:
    panel.set_visible(True)
    for name, label in PROGRAMS.items():
        points = [(x, 1e3 * s) for x, s in zip(result.values, result.seconds(name)) if s]
        slope = result.slope(name)
        label = label if slope is None else f"{label}: n = {slope:.2f}"
        panel.plot(*zip(*points), marker="o", label=label)
    panel.set(xscale="log", yscale="log", title=result.name, xlabel=result.axis, ylabel="ms")
    panel.set_xticks(result.values, result.values, minor=False)
    panel.set_xticks([], minor=True)
    panel.legend(fontsize=7)


def _row(figures: Sequence[float | None], unit: float) -> str:
    return " ".join("-" if figure is None else f"{figure * unit:.3g}" for figure in figures)


def exponent_text(slope: float | None) -> str:
    """Formats an exponent of growth; "-" where there is none."""
    return "-" if slope is None else f"{slope:.2f}"
