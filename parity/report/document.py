"""The document of `parity check --json`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from parity.compare.rows import Row
from parity.report.coverage import coverage
from parity.report.order import phases

if TYPE_CHECKING:
    from parity.result import Result


def to_json(results: list[Result], environment: dict[str, Any]) -> str:
    """Strict JSON of {"environment", "cases"}; a number that is not finite (nothing could be compared) is null."""
    document = {"environment": environment, "cases": list(map(_case, results))}
    return json.dumps(_strict(document), indent=1, allow_nan=False)


def _case(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "section": result.section,
        "status": result.status,
        "params": result.params,
        "seconds": result.seconds,
        **({"error": result.error} if result.error else {}),
        "settings": result.settings,
        "coverage": asdict(coverage(result)),
        "blame": asdict(result.blame) if result.blame else None,
        "phases": [_phase(tier, p, part) for tier, rows in result.rows.items() for p, part in phases(rows).items()],
        "trajectory": [asdict(distance) for distance in result.trajectory],
        "skipped": result.skipped,
        "notes": list(result.notes),
        "start": [
            {"name": each.name, "flax": each.flax, "torch": each.torch, "same": each.told} for each in result.start
        ],
    }


def _phase(tier: str, phase: str, rows: list[Row]) -> dict[str, Any]:
    status = "pass" if all(row.passed for row in rows) else "fail"
    names = ("name", "gap", "threshold", "because", "status")
    return {
        "phase": phase, "tier": tier, "status": status, "rows": [{n: getattr(row, n) for n in names} for row in rows]
    }  # fmt: skip


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, bool | int | str | None):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else None
