"""A result with the start of both sides: as information, or as rows that can fail."""

from collections.abc import Sequence
from dataclasses import replace

from parity.report.wording import differing_starts
from parity.result import Blame, Result
from parity.start.compare import Started


def with_start(result: Result, started: Sequence[Started], fails: bool) -> Result:
    """Returns the result with the start of both sides; `fails`: with a row for each tensor, and blame."""
    result = replace(result, start=tuple(started))
    if not fails or result.error or not result.rows:
        return result
    first = next(iter(result.rows))
    rows = result.rows | {first: [*(each.row for each in started), *result.rows[first]]}
    differing = [each for each in started if not each.same]
    blame = result.blame
    if differing and blame is None:
        blame = Blame(
            differing[0].name.rpartition(".")[0],
            "start",
            "start",
            f"fresh models differ: {differing_starts(differing)}",
        )
    return replace(result, rows=rows, blame=blame)
