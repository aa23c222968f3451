"""The time of checks as a document, a table and a page."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from parity.bench.check_times import CheckTime
from parity.bench.stopwatch import COMPILING, REST, STEPS
from parity.bench.usage import undisturbed
from parity.bench.watched import BLAME, COMPARING, FLAX, FREE_RUN, LAYERS, TORCH, TWIN

CAPTION = (
    "seconds, each once: twin, step by step (compiling with tracing, Flax, PyTorch, comparing), free run, layers, "
    "blame, rest; then the share of a kind of work in all of it; memory: the process's peak, and what it had before"
)
COMPILERS = tuple(dict.fromkeys(COMPILING.values()))


class Column(NamedTuple):
    """A heading, and the seconds that stand below it."""

    heading: str
    seconds: Callable[[CheckTime], float]


def compiling(time: CheckTime, part: str = "") -> float:
    """Returns the seconds of tracing and compiling."""
    return sum(time.of(part, work) for work in COMPILERS)


def _rest(time: CheckTime) -> float:
    return time.of(REST) + time.of(STEPS, REST)


PHASES = (
    Column(TWIN, lambda t: t.of(TWIN)),
    Column("steps: compiling", lambda t: compiling(t, STEPS)),
    Column("steps: Flax", lambda t: t.of(STEPS, FLAX)),
    Column("steps: PyTorch", lambda t: t.of(STEPS, TORCH)),
    Column("steps: comparing", lambda t: t.of(STEPS, COMPARING)),
    Column(FREE_RUN, lambda t: t.of(FREE_RUN)),
    Column(LAYERS, lambda t: t.of(LAYERS)),
    Column(BLAME, lambda t: t.of(BLAME)),
    Column(REST, _rest),
)
SHARES = (
    Column("% compiling", compiling),
    Column("% PyTorch", lambda t: t.of(work=TORCH)),
    Column("% comparing", lambda t: t.of(work=COMPARING)),
)


def check_json(time: CheckTime) -> dict[str, Any]:
    """Returns one entry of the document's "checks"."""
    parts = dict.fromkeys(span.part for span in time.seconds)
    works = {part: {s.work: seconds for s, seconds in time.seconds.items() if s.part == part} for part in parts}
    return {
        "name": time.name,
        "status": time.status,
        **({"error": time.error} if time.error else {}),
        "parameters": time.params,
        "seconds": {column.heading: column.seconds(time) for column in PHASES},
        "total_s": time.total,
        "parts": works,
        "compiled_in_other_threads_s": time.elsewhere,
        "peak_bytes": time.peak,
        "bytes_before": time.before,
        "cpus_used_by_others": time.others,
    }


def check_table(times: Sequence[CheckTime]) -> Table:
    """A line for each case, and one for all of them."""
    table = Table(title="How long a check takes, s", caption=CAPTION, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    first, *middle, last = headings()
    table.add_column(first, no_wrap=True)
    for heading in middle:
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    table.add_column(last)
    for line in lines(times):
        table.add_row(*line)
    return table


def check_markdown(times: Sequence[CheckTime]) -> str:
    """Formats the same table as markdown."""
    return markdown_table(headings(), lines(times))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats the rows; the first and the last column are words."""
    below = ["--", *["--:"] * (len(columns) - 2), "--"]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (columns, below, *rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def headings() -> list[str]:
    return [
        "model",
        "parameters",
        *(c.heading for c in (*PHASES, Column("total", lambda t: t.total), *SHARES)),
        "memory, MB",
        "before, MB",
        "remark",
    ]


def lines(times: Sequence[CheckTime]) -> list[list[str]]:
    """Returns the cells of each case, and of all."""
    rows = [_line(time, _remark(time)) for time in times]
    return rows if len(times) < 2 else [*rows, _line(together(times), "")]


def together(times: Sequence[CheckTime]) -> CheckTime:
    """Returns the sum of the seconds, and the largest memory."""
    spans = dict.fromkeys(span for time in times for span in time.seconds)
    return CheckTime(
        "all",
        "",
        params=sum(time.params for time in times),
        seconds={span: sum(time.seconds.get(span, 0.0) for time in times) for span in spans},
        before=max(time.before for time in times),
        peak=max(time.peak for time in times),
    )


def _line(time: CheckTime, remark: str) -> list[str]:
    total = time.total
    seconds = [f"{column.seconds(time):.2f}" for column in PHASES]
    shares = [f"{100 * column.seconds(time) / total:.0f}" if total else "-" for column in SHARES]
    memory = [f"{time.peak / 1e6:.0f}", f"{time.before / 1e6:.0f}"]
    return [time.name, f"{time.params:,}", *seconds, f"{total:.2f}", *shares, *memory, remark]


def _remark(time: CheckTime) -> str:
    remarks = [] if time.status == "pass" else [time.error or time.status]
    if not undisturbed(time.others):
        remarks.append(f"others used {time.others:.1f} CPUs meanwhile")
    if time.elsewhere > 0.005:
        remarks.append(f"compiled {time.elsewhere:.2f} s in other threads")
    return "; ".join(remarks)
