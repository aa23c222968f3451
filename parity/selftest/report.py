"""The score as a table for people, as Markdown and as JSON."""

import json
from dataclasses import asdict
from typing import Any

from rich.table import Table

from parity.selftest.anchors import ANCHORS
from parity.selftest.score import Score

HEADERS = ("rule", "caught", "placed", "named", "false alarms")


def lines(score: Score) -> list[tuple[str, ...]]:
    """The check's own line, then one for each anchor, which neither place nor name anything."""
    bugs = len(score.bugs)
    twins = len(score.twins)
    parity = [f"{sum(getattr(bug, what) for bug in score.bugs)} of {bugs}" for what in ("caught", "placed", "named")]
    rows: list[tuple[str, ...]] = [("parity", *parity, f"{sum(bool(twin.alarm) for twin in score.twins)} of {twins}")]
    for anchor in ANCHORS:
        caught = sum(anchor.name in bug.anchors for bug in score.bugs)
        alarms = sum(anchor.name in twin.anchors for twin in score.twins)
        rows.append((anchor.name, f"{caught} of {bugs}", "-", "-", f"{alarms} of {twins}"))
    return rows


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
    """The table, one record for each bug and one for each correct twin."""
    rules = [dict(zip(HEADERS, line, strict=True)) for line in lines(score)]
    bugs, twins = ([asdict(x) for x in records] for records in (score.bugs, score.twins))
    return json.dumps({"environment": environment, "rules": rules, "bugs": bugs, "correct": twins}, indent=1)
