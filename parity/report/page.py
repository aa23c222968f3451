"""One self-contained HTML page: the verdict, every case with its phases and tensors, and pictures of the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from parity.compare.policy import UNIT
from parity.compare.rows import Row
from parity.report.brief import about_weights
from parity.report.coverage import coverage
from parity.report.order import phases, ratio
from parity.report.pictures import histogram, key, trajectory
from parity.report.style import CSS
from parity.report.wording import first_wrong, summary, total

if TYPE_CHECKING:
    from parity.result import Result

PASSING = 5  # rows of a phase; the rest is in the JSON
FAILING = 50
CURVES = {
    "torch32": "PyTorch in float32, from the float64 run",
    "flax32": "Flax in float32, from the float64 run",
    "between": "the two from each other",
}


def html(results: list[Result], environment: dict[str, Any]) -> str:
    """The page, which opens without a network and runs no script."""
    passed = sum(r.status == "pass" for r in results)
    failing = [r for r in results if r.status != "pass"]
    verdict = "fail" if failing or not results else "pass"
    date = ", ".join(escape(environment[name]) for name in ("date", "commit", "command") if name in environment)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>parity: {passed} of {len(results)} pass</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>",
            f'<h1>Flax against PyTorch: <span class="{verdict}">{passed} of {len(results)} cases pass</span></h1>',
            f'<p class="soft">{date}</p>' if date else "",
            _causes(failing),
            f"<p>{escape(summary(results))}.</p>",
            _counters(results),
            '<p class="soft">float64 tells whether the mathematics is the same, float32 whether Flax is as precise as'
            " PyTorch. A gap is relative to its tensor's root mean square.</p>",
            "<h2>Cases</h2>",
            _filter(results, failing),
            _overview(results),
            "<h2>All gaps</h2>",
            _histograms(results),
            "<h2>Details</h2>",
            *map(_case, results),
            "<h2>Settings</h2>",
            _settings(environment),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _causes(failing: Sequence[Result]) -> str:
    """Lists what has not passed, with the first guilty place and its cause."""
    if not failing:
        return ""
    items = (f"<li>{_link(r)}: {escape(first_wrong(r) or r.error or 'nothing was compared')}</li>" for r in failing)
    return f'<div class="blame">Not passed:<ul>{"".join(items)}</ul></div>'


def _filter(results: Sequence[Result], failing: Sequence[Result]) -> str:
    """Returns buttons that hide the cases of a verdict, where there are cases of both; the style does it."""
    if not failing or len(failing) == len(results):
        return ""
    counts = {"all": len(results), "failing": len(failing), "passing": len(results) - len(failing)}
    buttons = (
        f'<label><input type="radio" name="shown" id="show-{name}"{" checked" * (name == "all")}> {name} ({n})</label>'
        for name, n in counts.items()
    )
    return f'<p class="filter">Show {" ".join(buttons)}</p>'


def _counters(results: list[Result]) -> str:
    counts = total(results)
    shown = {
        "cases": len(results), "comparisons": counts.rows, "layers alone": counts.layers, "tensors": counts.tensors,
        "gradients": counts.gradients, "buffers": counts.buffers, "steps": counts.steps,
        "left uncompared": counts.uncompared,
    }  # fmt: skip
    boxes = "".join(f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in shown.items())
    return f'<dl class="counters">{boxes}</dl>'


def _overview(results: list[Result]) -> str:
    counted = ("#parameters", "#layers", "#tensors")
    judged = ("#float64 gap", "#limit", "#float32 error", "#limit", "#too blunt to tell")
    rows = []
    for r in results:
        counts = coverage(r)
        worst = [cell for tier in ("float64", "float32") for cell in _margin(r.worst(tier))]
        cells = [f"{r.params:,}", f"{counts.layers:,}", f"{counts.rows:,}", *worst, f"{counts.blunt:,}"]
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        verdict = f'<td class="{r.status}">{r.status}</td>'
        name = f"<td>{escape(r.section)}</td><td>{_link(r)}</td>"
        bad = " bad" * (r.status != "pass")
        rows.append(f'<tr class="{_kind(r)}{bad}">{name}{verdict}{numbers}</tr>')
    return _table("Cases", ("section", "case", "verdict", *counted, *judged), rows)


def _margin(row: Row | None) -> tuple[str, str]:
    return (f"{row.gap:.0e}", f"{row.threshold:.0e}") if row else ("-", "-")


def _histograms(results: Iterable[Result]) -> str:
    by_tier: dict[str, list[Row]] = {}
    for result in results:
        for tier, rows in result.rows.items():
            by_tier.setdefault(tier, []).extend(row for row in rows if row.key.phase not in ("free run", "start"))
    pictures = [histogram(tier, rows) for tier, rows in by_tier.items() if tier in UNIT]
    return f'<div class="pictures">{"".join(f"<figure>{picture}</figure>" for picture in pictures if picture)}</div>'


def _case(result: Result) -> str:
    bad = result.status != "pass"
    title = f'<b>{escape(result.name)}</b><span class="{result.status}">{result.status}</span>'
    note = f' <span class="soft">{escape(str(coverage(result)))}; {result.seconds:.0f} s</span>'
    parts = [f'<p class="blame">{escape(text)}</p>' for text in (result.error, first_wrong(result)) if text]
    if result.status != "error":
        parts.append(f'<p class="soft">{escape(about_weights(result))}.</p>')
    parts.append(_weights(result))
    parts.append(_start(result))
    parts.append(_free_run(result))
    if result.skipped:
        listed = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in result.skipped.items())
        parts.append(f"<h3>Not compared on their own</h3><ul>{listed}</ul>")
    parts += [_phase(tier, phase, rows) for tier, all in result.rows.items() for phase, rows in phases(all).items()]
    if result.settings:
        parts.append(_settings(result.settings))
    body = f'<div class="body" id="{_id(result)}">{"".join(parts)}</div>'
    return f'<details class="{_kind(result)}"{" open" * bad}><summary>{title}{note}</summary>{body}</details>'


def _kind(result: Result) -> str:
    return "of-passing" if result.status == "pass" else "of-failing"


def _weights(result: Result) -> str:
    """Returns the names of either side, folded up: which of Flax's tensors is which of PyTorch's, and how."""
    if not result.weights:
        return ""
    told = (str(leaf).partition(" <- ") for leaf in result.weights)
    rows = (f"<tr><td class='name'>{escape(a)}</td><td class='name'>{escape(b)}</td></tr>" for a, _, b in told)
    table = _table("weights", ("PyTorch's tensor", "Flax's, its shape, how it becomes PyTorch's"), rows)
    return f"<details><summary>Which tensor is which</summary>{table}</details>"


def _start(result: Result) -> str:
    differing = [each for each in result.start if not each.same]
    if not differing:
        return ""
    rows = [
        f"<tr><td>{escape(each.name)}</td><td>{escape(each.flax)}</td><td>{escape(each.torch)}</td></tr>"
        for each in differing
    ]
    return f"<h3>Fresh models start otherwise</h3>{_table('start', ('tensor', 'Flax', 'PyTorch'), rows)}"


def _free_run(result: Result) -> str:
    picture = trajectory(result.trajectory)
    if not picture:
        return ""
    legend = "<br>".join(f"{key(name)} {text}" for name, text in CURVES.items())
    last = result.trajectory[-1]
    caption = f"{legend}<br>In float64 Flax is {last.flax64:.1e} from PyTorch after {last.step} steps."
    figure = f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
    return f"<h3>All steps in a row: distance of all parameters</h3>{figure}"


def _phase(tier: str, phase: str, rows: Sequence[Row]) -> str:
    worst_first = sorted(rows, key=ratio, reverse=True)
    bad, good = ([row for row in worst_first if row.passed is passed] for passed in (False, True))
    shown = [*bad[:FAILING], *good[:PASSING]]
    status = "fail" if bad else "pass"
    count = f"{len(bad)} of {len(rows)} tensors fail" if bad else f"{len(rows)} tensors"
    title = f'{escape(tier)} {escape(phase)} <span class="{status}">{status}</span>'
    note = f' <span class="soft">{count}; the worst at {ratio(worst_first[0]):.2g} of its limit</span>'
    table = _table(f"{tier} {phase}", ("tensor", "#gap", "#limit", "#gap/limit", "limit because"), map(_row, shown))
    left = len(rows) - len(shown)
    more = f'<p class="soft">{left} more, none closer to its limit than these.</p>' if left else ""
    return f"<details{' open' * bool(bad)}><summary>{title}{note}</summary>{table}{more}</details>"


def _row(row: Row) -> str:
    part = f"{ratio(row):.2g}" if row.threshold else "-"
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in (f"{row.gap:.1e}", f"{row.threshold:.1e}", part))
    name = f'<td class="name">{escape(row.name)}</td>'
    return f"<tr{_mark(row.passed)}>{name}{numbers}<td>{escape(row.because)}</td></tr>"


def _mark(passed: bool) -> str:
    return "" if passed else ' class="bad"'


def _settings(settings: Mapping[str, Any]) -> str:
    rows = (f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in settings.items())
    return _table("Settings", ("setting", "value"), rows)


def _table(label: str, head: Sequence[str], rows: Iterable[str]) -> str:
    """A table; a heading that starts with # stands over numbers."""
    cells = "".join(f'<th class="n">{h[1:]}</th>' if h[0] == "#" else f"<th>{h}</th>" for h in head)
    region = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
    return f"{region}<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _link(result: Result) -> str:
    return f'<a href="#{_id(result)}">{escape(result.name)}</a>'


def _id(result: Result) -> str:
    return "case-" + "".join(c if c.isalnum() or c in "-_." else "-" for c in result.name)
