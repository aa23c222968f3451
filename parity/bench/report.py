"""What the benchmark found, as a table for the terminal and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from d2l_jax.errors import InputError
from parity.bench.steps import METHOD, BenchResult
from parity.bench.timing import Stats

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100)


def bench_table(results: Sequence[BenchResult]) -> Table:
    """Milliseconds as median ± half the interquartile range; what went wrong stands in the last column."""
    caption = f"ratio: PyTorch's time over JAX's. {METHOD}."
    table = Table(title="One training step, ms", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    headings = ("batch", "JAX", "PyTorch", "torch.\ncompile", "ratio", "ratio\ncompile", "compiling, s\nJAX, torch")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("remark")
    for result in results:
        times = [_cell(result.stats(name)) for name in ("jax", "torch_eager", "torch_compile")]
        ratios = ["-" if r is None else f"{r:.2f}" for r in (result.ratio_eager, result.ratio_compile)]
        cells = [str(result.inputs[0]), *times, *ratios, _compile_cell(result), remark(result)]
        table.add_row(result.name, *cells, style=_style(result))
    return table


def _cell(stats: Stats | None) -> str:
    return f"{_short(stats.median * 1e3)} ± {_short(stats.iqr * 500)}" if stats else "-"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _compile_cell(result: BenchResult) -> str:
    seconds = [result.programs[n].compile_s for n in ("jax", "torch_compile") if n in result.programs]
    return " / ".join(f"{s:.1f}" for s in seconds if s is not None)


def remark(result: BenchResult) -> str:
    """What a reader has to know before believing the line; empty if nothing."""
    if result.error:
        return result.error
    remarks = [f"{name} {reason}" for name, reason in result.missing.items()]
    if result.status == "disagree":
        worst = ", ".join(f"{name} by {max(gaps):.1e}" for name, gaps in result.gaps.items())
        remarks.insert(0, f"not timed: the losses disagree ({worst})")
    if result.measured and result.status == "disturbed":
        remarks.insert(0, f"others used {result.measured.others:.1f} CPUs meanwhile: no ratio")
    return "; ".join(remarks)


def _style(result: BenchResult) -> str:
    return {"ok": "", "disturbed": "yellow"}.get(result.status, "red")


def bench_picture(results: Sequence[BenchResult], path: str | Path) -> None:
    """A bar per model and PyTorch program on a log scale; the line at 1 is JAX's own time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [result for result in results if result.ratio_eager is not None]
    if not shown:
        raise InputError("nothing to draw: no model was timed on both sides")
    figure = Figure(figsize=(8, 1.5 + 0.5 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for offset, label, program in ((-0.2, "PyTorch", "torch_eager"), (0.2, "torch.compile", "torch_compile")):
        ratios = [(row + offset, result.ratio(program)) for row, result in enumerate(shown)]
        bars = [(y, ratio) for y, ratio in ratios if ratio is not None]
        drawn = axes.barh([y for y, _ in bars], [x - 1 for _, x in bars], 0.38, left=1, label=label)
        axes.bar_label(drawn, [f" {x:.2f} " for _, x in bars])
    axes.margins(x=0.15)
    axes.axvline(1, color="black")
    axes.set(xscale="log", title="Training step")
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in TICKS if low <= t <= high], minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time of PyTorch / time of JAX (right of 1: JAX is faster)")
    axes.set_yticks(range(len(shown)), [r.name for r in shown])
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(path)
