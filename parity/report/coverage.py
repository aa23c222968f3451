"""Counts of what a check has compared: a verdict is worth as much as what it rests on."""

import math
import re
from dataclasses import dataclass, fields

from parity.compare.policy import BLUNT
from parity.compare.rows import Row
from parity.report.order import place
from parity.result import Result


@dataclass(frozen=True)
class Coverage:
    """Counts of one result; but for `rows`, a tensor that is compared in several tiers counts once.

    rows:       comparisons of all tiers
    layers:     compared on their own, with PyTorch's inputs and cotangents
    steps:      of training
    uncompared: tensors that one side lacks, or of another shape, or not finite; each is a failure
    skipped:    layers whose calls could not be compared on their own
    blunt:      comparisons whose limit is so wide that only gross errors would show
    """

    rows: int = 0
    layers: int = 0
    tensors: int = 0
    gradients: int = 0
    buffers: int = 0
    steps: int = 0
    uncompared: int = 0
    skipped: int = 0
    blunt: int = 0

    def __add__(self, other: "Coverage") -> "Coverage":
        return Coverage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __str__(self) -> str:
        left = f"{self.uncompared} tensors left uncompared" if self.uncompared else "nothing left uncompared"
        alone = f" ({self.skipped} not on their own)" if self.skipped else ""
        return (
            f"{self.layers:,} layers{alone}, {self.tensors:,} tensors, {self.gradients:,} of them gradients and"
            f" {self.buffers:,} buffers, over {self.steps:,} step{'s' * (self.steps != 1)}; {left}"
        )


def coverage(result: Result) -> Coverage:
    """Counts what `result` compared."""
    rows = [row for tier in result.rows.values() for row in tier]
    once = {(row.phase, row.name): row for row in rows}.values()
    compared = {(row.phase, row.name) for row in rows if math.isfinite(row.gap)}
    done = [row for row in once if (row.phase, row.name) in compared]
    return Coverage(
        rows=len(rows),
        layers=len({layer_of(row) for row in done if row.phase == "layer forward"}),
        tensors=len(done),
        gradients=sum(row.phase.endswith(("gradients", "backward")) for row in done),
        buffers=sum(row.phase.endswith("buffers") or _evaluated_buffer(row) for row in done),
        steps=len({place(row)[0] for row in done if row.phase.endswith("update")}),
        uncompared=len(once) - len(done),
        skipped=len(result.skipped),
        blunt=sum(row.because.startswith(BLUNT) for row in rows),
    )


def layer_of(row: Row) -> str:
    """The layer of a row: `net.0 (call 2).output.0` -> `net.0 (call 2)`."""
    return re.split(r"\.output(?:\.|$)", row.name)[0]


def _evaluated_buffer(row: Row) -> bool:
    return row.phase == "evaluation" and not re.match(r"output(\.|$)", row.name)
