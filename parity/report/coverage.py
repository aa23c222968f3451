"""Counts of what a check has compared: a verdict is worth as much as what it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parity.result import Result


@dataclass(frozen=True)
class Coverage:
    """Counts of one result; but for `rows`, a tensor that is compared in several tiers counts once.

    rows:       comparisons of all tiers
    layers:     compared on their own, with PyTorch's inputs and cotangents
    holding:    layers that hold tensors
    alone:      those of them that were compared on their own
    steps:      of training
    uncompared: tensors that one side lacks, or of another shape, or not finite; each is a failure
    skipped:    layers whose calls could not be compared on their own
    blunt:      comparisons whose limit is so wide that only gross errors would show
    """

    rows: int = 0
    layers: int = 0
    holding: int = 0
    alone: int = 0
    tensors: int = 0
    gradients: int = 0
    buffers: int = 0
    steps: int = 0
    uncompared: int = 0
    skipped: int = 0
    blunt: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __str__(self) -> str:
        left = f"{self.uncompared} tensors left uncompared" if self.uncompared else "nothing left uncompared"
        parts = [f"{self.alone:,} of {self.holding:,} with tensors"] if self.alone < self.holding else []
        parts += [f"{self.skipped} not on their own"] if self.skipped else []
        alone = f" ({', '.join(parts)})" if parts else ""
        return (
            f"{self.layers:,} layers{alone}, {self.tensors:,} tensors, {self.gradients:,} of them gradients and"
            f" {self.buffers:,} buffers, over {self.steps:,} step{'s' * (self.steps != 1)}; {left}"
        )


def coverage(result: Result) -> Coverage:
    """Counts what `result` compared."""
    rows = [row for tier in result.rows.values() for row in tier]
    once = {row.key for row in rows}
    done = {row.key for row in rows if math.isfinite(row.gap)}
    buffers = {key.tensor for key in done if key.phase == "buffers" and not key.layer}
    isolated = {key.layer for key in done if key.layer and key.phase == "forward"}
    return Coverage(
        rows=len(rows),
        layers=len(isolated),
        holding=len(result.holding),
        alone=len(set(result.holding) & {layer.partition(" ")[0] for layer in isolated}),
        tensors=len(done),
        gradients=sum(key.phase in ("gradients", "backward") for key in done),
        buffers=sum(key.phase == "buffers" or key.phase == "evaluation" and key.tensor in buffers for key in done),
        steps=len({key.step for key in done if key.phase == "update"}),
        uncompared=len(once) - len(done),
        skipped=len(result.skipped),
        blunt=sum(row.blunt for row in rows),
    )
