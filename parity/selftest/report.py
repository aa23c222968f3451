"""The score as a table for people, as Markdown and as JSON."""

import json
from dataclasses import asdict
from typing import Any

from rich.table import Table

from parity.selftest.anchors import ANCHORS
from parity.selftest.score import Score

HEADERS = ("rule", "caught", "placed", "named", "false alarms")
Counts = tuple[str, int, int | None, int | None, int]


def counts(score: Score) -> list[Counts]:
    """Counts in the order of HEADERS: the check's own, then those of each anchor, which neither place nor name."""
    caught, placed, named = (sum(getattr(bug, what) for bug in score.bugs) for what in ("caught", "placed", "named"))
    rows: list[Counts] = [("parity", caught, placed, named, sum(bool(twin.alarm) for twin in score.twins))]
    for anchor in ANCHORS:
        caught = sum(anchor.name in bug.anchors for bug in score.bugs)
        rows.append((anchor.name, caught, None, None, sum(anchor.name in twin.anchors for twin in score.twins)))
    return rows


def lines(score: Score) -> list[tuple[str, ...]]:
    """The same in words: "caught" as "106 of 106"."""
    of = (len(score.bugs),) * 3 + (len(score.twins),)
    return [
        (name, *("-" if n is None else f"{n} of {all}" for n, all in zip(numbers, of, strict=True)))
        for name, *numbers in counts(score)
    ]


def table(score: Score) -> Table:
    """The table for a console."""
    out = Table(
        title="Planted bugs, and correct twins left alone",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="bold underline",
    )
    for header in HEADERS:
        out.add_column(header, justify="left" if header == "rule" else "right", no_wrap=True)
    for line in lines(score):
        out.add_row(*line)
    return out


def markdown(score: Score) -> str:
    """Returns the table of docs/results.md."""
    rows = [HEADERS, ("--", "--:", "--:", "--:", "--:"), *lines(score)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def shortcomings(score: Score) -> list[str]:
    """A line for every bug that was not caught, placed and named, and for every false alarm."""
    problems = []
    for bug in score.bugs:
        if bug.status != "caught":
            right = f"{bug.place or 'the model itself'}: {' or '.join(bug.causes)}"
            problems.append(f"{bug.name}: {bug.status}; {right} would be right, found {bug.text or 'nothing'}")
    return problems + [f"{twin.name}: false alarm in {twin.alarm}" for twin in score.twins if twin.alarm]


def to_json(score: Score, environment: dict[str, Any]) -> str:
    """The table in numbers, one record for each bug and one for each correct twin."""
    whole = {"bugs": len(score.bugs), "correct": len(score.twins)}
    rules = [dict(zip(HEADERS, numbers, strict=True)) | whole for numbers in counts(score)]
    bugs, twins = ([asdict(x) for x in records] for records in (score.bugs, score.twins))
    return json.dumps({"environment": environment, "rules": rules, "bugs": bugs, "correct": twins}, indent=1)
