"""The same tasks in a fresh process for each arithmetic, and the verdicts that flip."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from d2l_jax.errors import InputError
from parity.selftest.arithmetics.settings import Arithmetic
from parity.selftest.arithmetics.verdicts import Verdict
from parity.selftest.run import TaskName

COMMAND = (sys.executable, "-W", "ignore", "-m", "parity.selftest.arithmetics.verdicts")


@dataclass(frozen=True)
class Outcome:
    """The verdicts of one arithmetic, and a line for each that is another in the first."""

    arithmetic: Arithmetic
    verdicts: tuple[Verdict, ...]
    flips: tuple[str, ...]

    @property
    def nearest(self) -> Verdict | None:
        """Returns the verdict that comes nearest to another, of checks that pass."""
        passing = [verdict for verdict in self.verdicts if verdict.status == "pass"]
        return max(passing, key=lambda verdict: verdict.margin, default=None)


def outcomes(
    tasks: Sequence[TaskName], arithmetics: Sequence[Arithmetic], tell: Callable[[str], None]
) -> Iterator[Outcome]:
    """Yields the outcome of each arithmetic; `tell` hears a line for each verdict.

    Raises InputError where a process ends before its work is done.
    """
    reference: list[Verdict] = []
    for arithmetic in arithmetics:
        verdicts: list[Verdict] = []
        flips: list[str] = []
        for verdict in verdicts_of(tasks, arithmetic):
            flipped = flip(reference[len(verdicts)], verdict) if reference else ""
            verdicts.append(verdict)
            flips += [flipped] if flipped else []
            place = f"[{arithmetic.name}, {len(verdicts)}/{len(tasks)}]"
            tell(f"{place} {flipped or f'{verdict.task}: {verdict.status}, margin {verdict.margin:.2f}'}")
        reference = reference or verdicts
        yield Outcome(arithmetic, tuple(verdicts), tuple(flips))


def verdicts_of(tasks: Sequence[TaskName], arithmetic: Arithmetic) -> Iterator[Verdict]:
    """Yields the verdict of each task as soon as a fresh process of this arithmetic has it.

    Raises InputError where the process ends before its work is done.
    """
    environment = arithmetic.environment()
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdin and process.stdout
        with process.stdin as stream:
            json.dump({"cores": sorted(arithmetic.cores()), "tasks": list(tasks)}, stream)
        yield from (Verdict.of(json.loads(line)) for line in process.stdout)
    if process.returncode:
        raise InputError(f"{arithmetic.name}: its process has ended with status {process.returncode}")


def flip(first: Verdict, other: Verdict) -> str:
    """Returns in words how the other verdict differs; "" where it does not.

    Rows count where either check passes: in a wrong model, how far a fault is seen may depend on rounding.
    """
    differences = [
        f"{part} {getattr(other, part)!r} for {getattr(first, part)!r}"
        for part in ("status", "place", "cause")
        if getattr(other, part) != getattr(first, part)
    ]
    if "pass" in (first.status, other.status):
        rows = sorted(set(first.failing) ^ set(other.failing))
        differences += [f"{name} {'fails' if name in other.failing else 'passes'}" for name in rows]
        if first.rows != other.rows:
            differences.append(f"{other.rows} rows for {first.rows}")
    return f"{other.task} FLIPS: {'; '.join(differences)}" if differences else ""
