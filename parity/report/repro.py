"""A failure as a folder that stands for itself: arrays, and a script that needs numpy alone to show the gap."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.write import replacing
from parity.arrays.key import Record
from parity.arrays.layout import named_leaves
from parity.compare.rows import Row
from parity.compare.scale import rms
from parity.report.order import in_order
from parity.report.wording import first_wrong

if TYPE_CHECKING:  # the arrays are enough to write a folder
    from parity.models.calls import TorchCall
    from parity.result import Blame, Result

PAIRS = 8  # failing tensors of each tier
LARGEST = 2**24  # values of each array
SCRIPT = Path(__file__).with_name("repro_script.py")


@dataclass(frozen=True)
class LayerEvidence:
    """A layer on its own, as a failure shows it.

    label:        the name of its rows: the layer, and which call of it
    name:         the layer in PyTorch
    oracle, flax: either side's answer to PyTorch's inputs and cotangents
    arrays:       of the guilty layer alone: what it computes with, {"input/0": array}, in PyTorch's layout
    """

    label: str
    name: str
    oracle: Record
    flax: Record
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class IsolatedLayer(Protocol):
    """A layer that ran on its own on both sides; `theirs` is PyTorch's call."""

    @property
    def label(self) -> str: ...
    @property
    def theirs(self) -> TorchCall: ...
    @property
    def oracle(self) -> Record: ...
    @property
    def flax(self) -> Record: ...


def evidence_of(
    rows: Mapping[str, Sequence[Row]],
    records: Mapping[str, tuple[Record, Record]],
    layers: Iterable[IsolatedLayer] = (),
    blame: Blame | None = None,
) -> dict[str, np.ndarray]:
    """The arrays that show a failure; nothing where every row has passed.

    rows:    by tier
    records: by tier, (the float64 oracle, Flax's)
    layers:  for the rows of layers on their own, and for the inputs of the guilty one

    Of each tier the guilty layer's tensors come first, then the earliest.
    """
    isolated = _layers(layers, blame)
    evidence = dict[str, np.ndarray]()
    alone = {key: layer for layer in isolated for key in layer.oracle}
    guilty = {key for key, layer in alone.items() if blame and layer.name == blame.layer}
    for tier, tier_rows in rows.items():
        torch, flax = records.get(tier, ({}, {}))
        bad = [row.key for row in in_order(tier_rows) if _beyond(row)]
        bad.sort(key=lambda key: key not in guilty)
        for key in islice((k for k in bad if k in torch or k in flax or k in alone), PAIRS):
            layer = alone.get(key)
            sides = {"torch": layer.oracle, "flax": layer.flax} if layer else {"torch": torch, "flax": flax}
            pair = {f"{tier}/{side}/{key}": record.get(key) for side, record in sides.items()}
            evidence |= {name: array for name, array in pair.items() if array is not None and array.size <= LARGEST}
    if evidence:
        evidence |= {f"layer/{name}": array for layer in isolated for name, array in layer.arrays.items()}
    return evidence


def _layers(layers: Iterable[IsolatedLayer], blame: Blame | None) -> list[LayerEvidence]:
    """The layers as plain records; the first call of the guilty one has its arrays."""
    layers = list(layers)
    guilty = next((layer for layer in layers if blame and layer.theirs.name == blame.layer), None)
    return [
        LayerEvidence(x.label, x.theirs.name, x.oracle, x.flax, dict(_computes_with(x.theirs)) if x is guilty else {})
        for x in layers
    ]


def _computes_with(call: TorchCall) -> Iterator[tuple[str, np.ndarray]]:
    """Inputs, cotangents and parameters of a call, in PyTorch's layout."""
    parts = {
        "input": dict(named_leaves((call.args, call.kwargs), "")),
        "cotangent": call.cotangents,
        "parameter": call.module.state_dict(),
    }
    for kind, tensors in parts.items():
        for name, tensor in tensors.items():
            array = tensor.detach().cpu().numpy()
            if array.size <= LARGEST:
                yield f"{kind}/{name.lstrip('.')}", array


def _beyond(row: Row) -> bool:
    """Leaves out rows that fail only because no limit can be granted: their tensors may agree."""
    return not row.passed and row.gap > row.threshold


def save_repro(result: Result, folder: Path | str) -> Path | None:
    """Writes FOLDER/NAME with `repro.py`, `arrays.npz` and `rows.json`, and returns it; None if `result` has passed.

    Raises InputError if a failure has left no arrays: models that could not run have none.
    """
    if result.status == "pass":
        return None
    rows = list(_rows(result))
    if not rows:
        raise InputError(f"{result.name}: no arrays were compared, so there is nothing to reproduce: {result.error}")
    about = {"name": result.name, "blame": first_wrong(result), "rows": rows}
    target = Path(folder) / "".join(c if c.isalnum() or c in "-_." else "-" for c in result.name)
    with replacing(target) as part:
        part.mkdir()
        np.savez_compressed(part / "arrays.npz", **result.evidence)  # pyright: ignore[reportArgumentType]
        (part / "rows.json").write_text(json.dumps(about, indent=1, allow_nan=False), encoding="utf-8")
        (part / "repro.py").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def _rows(result: Result) -> Iterator[dict[str, Any]]:
    """The failing rows that have arrays."""
    for tier, tier_rows in result.rows.items():
        for row in filter(_beyond, in_order(tier_rows)):
            place = str(row.key)
            torch, flax = (result.evidence.get(f"{tier}/{side}/{place}") for side in ("torch", "flax"))
            if torch is not None or flax is not None:
                yield {
                    "tier": tier, "place": place, "gap": row.gap if math.isfinite(row.gap) else None,
                    "threshold": row.threshold, "because": row.because, "scale": _scale(tier, row.gap, torch, flax),
                }  # fmt: skip


def _scale(tier: str, gap: float, torch: np.ndarray | None, flax: np.ndarray | None) -> float:
    """The size that the gap of the row is relative to; 1 where nothing could be measured."""
    if torch is None or flax is None or not math.isfinite(gap):
        return 1.0
    return measured(tier, torch, flax) / gap


def measured(tier: str, torch: np.ndarray, flax: np.ndarray) -> float:
    """The distance that `parity.compare.rows` judges: the largest in float64, else the root mean square."""
    apart = flax.astype(np.float64) - torch
    return float(np.max(np.abs(apart))) if tier == "float64" else rms(apart)
