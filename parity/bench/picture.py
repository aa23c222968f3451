"""Pictures of the benchmark of steps: ratios as bars, and models under the machine's roof."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from parity.bench.means import geometric_mean
from parity.bench.result import BenchResult
from parity.bench.roofline import Ceilings, Point, point

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100)
POINTS = (("jax", "JAX", "o"), ("torch_eager", "PyTorch", "x"))


def bench_picture(results: Sequence[BenchResult], path: str | Path, roof: Ceilings | None = None) -> None:
    """The ratios, and beside them the roofline if there is one. Raises InputError where no case has a ratio."""
    shown = [result for result in results if result.ratio_eager is not None]
    if not shown:
        raise InputError("nothing to draw: no model was timed on both sides")
    points = {r.name: position for r in results if (position := point(r, roof))}
    figure, (axes,) = canvas(8, max(4, 1.5 + 0.3 * len(shown)), 1, 2 if points else 1)
    draw_ratios(axes[0], [r.name for r in shown], [r.ratio_eager or 1 for r in shown])
    if roof and points:
        draw_roof(axes[1], roof, points)
    figure.savefig(path)


def canvas(width: float, height: float, rows: int = 1, panels: int = 1) -> tuple[Any, Any]:
    """(figure, its axes by rows), each panel so many inches wide and high; with no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, panels, squeeze=False)


def draw_ratios(axes: Any, names: Sequence[str], ratios: Sequence[float]) -> None:
    """A bar per model on a log scale; the line at 1 is JAX's own time."""
    colors = ["tab:blue" if ratio >= 1 else "tab:orange" for ratio in ratios]
    bars = axes.barh(range(len(names)), [ratio - 1 for ratio in ratios], 0.7, left=1, color=colors)
    axes.bar_label(bars, [f" {ratio:.2f} " for ratio in ratios])
    axes.axvline(1, color="black")
    axes.margins(x=0.15)
    axes.set(xscale="log", title=f"Training step; geometric mean {geometric_mean(ratios):.2f}")
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in TICKS if low <= t <= high], minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time of PyTorch / time of JAX (right of 1: JAX is faster)")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def draw_roof(axes: Any, roof: Ceilings, points: dict[str, Point]) -> None:
    """Intensity against GFLOP/s, both on log scales: the roof as a line, two points per model."""
    intensities = [position.intensity for position in points.values()]
    ridge = roof.flops / roof.bandwidth
    ends = [min([*intensities, ridge]) / 2, ridge, max([*intensities, ridge]) * 2]
    axes.plot(ends, [min(roof.flops, x * roof.bandwidth) / 1e9 for x in ends], color="black", label="roof")
    for program, label, marker in POINTS:
        drawn = [p for p in points.values() if program in p.rates]
        axes.scatter([p.intensity for p in drawn], [p.rates[program] / 1e9 for p in drawn], marker=marker, label=label)
    for name, position in points.items():
        axes.annotate(name, (position.intensity, position.rates["jax"] / 1e9), fontsize=7)
    peak = roof.flops / 1e9
    speed = roof.bandwidth / 1e9
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GFLOP/s")
    axes.set_title(f"Training step under the roof: {peak:.0f} GFLOP/s, {speed:.0f} GB/s")
    axes.legend()
