"""What the benchmark of steps found, as a table for the terminal or for a page."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table

from parity.bench.document import METHOD
from parity.bench.means import geometric_means
from parity.bench.phase import MODES, Timed
from parity.bench.result import BenchResult
from parity.bench.roofline import Ceilings, point
from parity.bench.timing import Stats

NAMES = {"torch_compile": "torch.compile", "torch_graphs": "CUDA graphs"}


class Column(NamedTuple):
    """A heading, and what stands below it for a case."""

    heading: str
    cell: Callable[[BenchResult], str]


def _batch(result: BenchResult) -> str:
    size = result.inputs[0] if result.inputs else 0
    book = result.book_batch
    return str(size) if size == book else f"{size} of {book}"


BATCH = Column("batch", _batch)


def training_columns(results: Sequence[BenchResult], roof: Ceilings | None = None) -> list[Column]:
    """Milliseconds as median ± half the interquartile range; memory and roofline where they were asked for."""
    chosen = _times(results, "", lambda r: r.training)
    chosen.append(Column("compiling, s JAX / torch", _compile_seconds))
    if any(r.memory for r in results):
        chosen.append(Column("memory, MB JAX / torch", _memory))
    if roof:
        chosen.append(Column("flop / byte", lambda r: _figure(p.intensity) if (p := point(r, roof)) else "-"))
        chosen.append(Column("% of roof JAX / torch", lambda r: _shares(r, roof)))
    return chosen


def _times(results: Sequence[BenchResult], prefix: str, phase: Callable[[BenchResult], Timed]) -> list[Column]:
    """JAX's, PyTorch's and the ratio, and so for every compiled program that was started."""

    def time(heading: str, program: str) -> Column:
        return Column(f"{prefix}{heading}", lambda r: _milliseconds(phase(r).stats(program)))

    def ratio(heading: str, program: str) -> Column:
        return Column(f"{prefix}ratio{heading}", lambda r: _figure(phase(r).ratio(program)))

    columns = [time("JAX", "jax"), time("PyTorch", "torch_eager"), ratio("", "torch_eager")]
    for mode in (mode for mode in MODES if any(mode in phase(r).started for r in results)):
        columns += [time(NAMES[mode], mode), ratio(f" {NAMES[mode]}", mode)]
    return columns


def bench_tables(results: Sequence[BenchResult], roof: Ceilings | None = None) -> Group:
    """Returns a table of training, and one of evaluation; what went wrong stands in the last column."""
    caption = f"ratio: PyTorch's time over JAX's. {METHOD}."
    evaluation = _times(results, "", lambda r: r.evaluation)
    return Group(
        _table("One training step, ms", results, training_columns(results, roof), lambda r: r.training),
        _table("One evaluation step, ms", results, evaluation, lambda r: r.evaluation, caption),
    )


def _table(
    title: str,
    results: Sequence[BenchResult],
    middle: Sequence[Column],
    phase: Callable[[BenchResult], Timed],
    caption: str | None = None,
) -> Table:
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for column in (BATCH, *middle):
        table.add_column(column.heading.replace(" ", "\n").replace("torch.", "torch.\n"), justify="right", no_wrap=True)
    table.add_column("remark")
    for r in results:
        cells = [column.cell(r) for column in (BATCH, *middle)]
        table.add_row(r.name, *cells, r.error or "; ".join(_remarks(phase(r))), style=_style(r))
    return table


def bench_markdown(results: Sequence[BenchResult], roof: Ceilings | None = None) -> str:
    """Formats training and evaluation as one table of markdown, with the geometric means below."""
    evaluation = _times(results, "evaluation ", lambda r: r.evaluation)
    chosen = [Column("model", lambda r: r.name), BATCH, *training_columns(results, roof), *evaluation]
    chosen.append(Column("remark", remark))
    lines = [[column.heading for column in chosen], ["--", *["--:"] * (len(chosen) - 2), "--"]]
    lines += [[column.cell(result).replace("|", "\\|") for column in chosen] for result in results]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "".join(f"\n{line}\n" for line in means_lines(results))


def means_lines(results: Sequence[BenchResult]) -> list[str]:
    """The geometric means in words, one line each."""
    return [
        f"geometric mean of {name.replace('_', ' ')}: {mean['mean']:.2f} over {mean['models']} models, "
        f"{mean['below_1']} of them below 1"
        for name, mean in geometric_means(results).items()
    ]


def remark(result: BenchResult) -> str:
    """Returns what a reader has to know before believing the line; empty if nothing."""
    if result.error:
        return result.error
    training, evaluation = (_remarks(phase) for phase in (result.training, result.evaluation))
    more = [f"evaluation: {text}" for text in evaluation if text not in training]
    return "; ".join([*training, *more])


def _remarks(phase: Timed) -> list[str]:
    remarks: list[str] = []
    if phase.status == "disagree":
        worst = ", ".join(f"{name} by {max(gaps):.1e}" for name, gaps in phase.gaps.items())
        remarks.append(f"not timed: the losses disagree ({worst})")
    if phase.measured and phase.status == "disturbed":
        remarks.append(f"others used {phase.measured.others:.1f} CPUs meanwhile: no ratio")
    if phase.layout != "contiguous":
        remarks.append("PyTorch in channels_last")
    return remarks + [f"{name} {reason}" for name, reason in phase.missing.items()]


def _milliseconds(stats: Stats | None) -> str:
    return f"{_figure(stats.median * 1e3)} ± {_figure(stats.iqr * 500)}" if stats else "-"


def _figure(number: float | None) -> str:
    """Formats three digits."""
    if number is None:
        return "-"
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _compile_seconds(result: BenchResult) -> str:
    started = result.training.started
    seconds = [started[name].compile_s for name in ("jax", "torch_compile") if name in started]
    return " / ".join(f"{s:.1f}" for s in seconds if s is not None)


def _memory(result: BenchResult) -> str:
    return " / ".join(f"{result.memory[name] / 1e6:.0f}" for name in ("jax", "torch") if name in result.memory) or "-"


def _shares(result: BenchResult, roof: Ceilings) -> str:
    if not (position := point(result, roof)):
        return "-"
    return " / ".join(f"{100 * position.shares[name]:.0f}" for name in ("jax", "torch_eager"))


def _style(result: BenchResult) -> str:
    return {"ok": "", "disturbed": "yellow"}.get(result.status, "red")
