"""Verdicts of cases, correct pairs and planted bugs as plain data.

`python -m parity.selftest.arithmetics.verdicts` reads tasks and cores as JSON and writes a line of JSON for each; the
process that starts it has set its arithmetic.
"""

import json
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.proof.cases import check_case
from parity.proof.proof import check_twin
from parity.report.order import ratio
from parity.result import Result
from parity.selftest.bugs import BUGS
from parity.selftest.run import TaskName, pairs


@dataclass(frozen=True)
class Verdict:
    """A verdict, and how near it comes to another.

    place, cause: of the blame
    failing:      names of the rows that fail
    rows:         the number of all
    margin:       the largest gap over its limit of the rows that pass; it is the row `nearest`
    """

    kind: str
    name: str
    seed: int
    status: str
    place: str
    cause: str
    failing: tuple[str, ...]
    rows: int
    margin: float
    nearest: str
    seconds: float

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Verdict":
        """Returns the verdict whose record has been JSON."""
        record["failing"] = tuple(record["failing"])
        return cls(**record)

    @property
    def task(self) -> str:
        """The task in words."""
        return f"{self.kind} {self.name}" + (f", seed {self.seed}" if self.seed else "")


def verdict(task: TaskName) -> Verdict:
    """Performs a task of `parity.selftest.arithmetics.tasks`."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what bugs do
        result = _checked(*task)
    blame = result.blame
    rows = {
        f"{tier} {row.phase}/{row.name}": row
        for tier, part in result.rows.items()
        for row in part
        if row.key.phase != "start"  # numbers drawn at random, which are not rounded
    }
    margins = {name: ratio(row) for name, row in rows.items() if row.passed}
    nearest = max(margins, key=margins.__getitem__, default="")
    return Verdict(
        *task,
        status=result.status,
        place=blame.layer if blame else "",
        cause=blame.cause if blame else "",
        failing=tuple(name for name, row in rows.items() if not row.passed),
        rows=len(rows),
        margin=margins.get(nearest, 0.0),
        nearest=nearest,
        seconds=round(time.perf_counter() - start, 2),
    )


def _checked(kind: str, name: str, seed: int) -> Result:
    if kind == "case":
        return check_case(get(name))
    if kind == "pair":
        return check_twin(pairs()[name].twin(seed=seed))
    bug = next(bug for bug in BUGS if bug.name == name)
    try:
        return check_twin(bug.twin(), tiers=bug.tiers)
    except InputError as error:
        return Result(name, "", 0, error=str(error))


def main() -> None:
    """Writes the verdict of each task as soon as it is there."""
    work = json.load(sys.stdin)
    if work["cores"]:
        os.sched_setaffinity(0, work["cores"])  # before JAX counts them
    for task in work["tasks"]:
        print(json.dumps(asdict(verdict(tuple(task)))), flush=True)


if __name__ == "__main__":
    main()
