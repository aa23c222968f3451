"""A failure as a folder that stands for itself: arrays, and a script that needs numpy alone to show the gap."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.write import replacing
from parity.arrays.layout import named_leaves
from parity.compare.rows import Record, Row, rms
from parity.report.order import in_order
from parity.report.wording import first_wrong
from parity.result import Blame, Result

PAIRS = 8  # failing tensors of each tier
LARGEST = 2**24  # values of each array
SCRIPT = Path(__file__).with_name("repro_script.py")


def evidence_of(
    rows: Mapping[str, Sequence[Row]],
    records: Mapping[str, tuple[Record, Record]],
    layers: Iterable[Any] = (),
    blame: Blame | None = None,
) -> dict[str, np.ndarray]:
    """The arrays that show a failure; nothing where every row has passed.

    rows:    by tier
    records: by tier, (the float64 oracle, Flax's), {"phase/name": array}
    layers:  `parity.layers.isolate.Layer`s, for the rows of layers on their own and for what the guilty one was given

    Of each tier the guilty layer's tensors come first, then the earliest.
    """
    layers = list(layers)
    found = dict[str, np.ndarray]()
    alone = {f"layer {key.partition('/')[0]}/{layer.label}.{key.partition('/')[2]}": (layer, key)
             for layer in layers for key in layer.oracle}  # fmt: skip
    guilty = {place for place, (layer, _) in alone.items() if blame and layer.theirs.name == blame.layer}
    for tier, all in rows.items():
        torch, flax = records.get(tier, ({}, {}))
        bad = [f"{row.phase}/{row.name}" for row in in_order(all) if _beyond(row)]
        bad.sort(key=lambda place: place not in guilty)
        for place in islice((p for p in bad if p in torch or p in flax or p in alone), PAIRS):
            layer, key = alone.get(place, (None, place))
            sides = (layer.oracle, layer.flax) if layer else (torch, flax)
            pair = {side: record.get(key) for side, record in zip(("torch", "flax"), sides)}
            found |= {f"{tier}/{side}/{place}": a for side, a in pair.items() if a is not None and a.size <= LARGEST}
    if found and blame:
        first = next((layer for layer in layers if layer.theirs.name == blame.layer), None)
        found |= dict(_given(first)) if first else {}
    return found


def _beyond(row: Row) -> bool:
    """Not those that fail only because no limit can be granted: their tensors may agree."""
    return not row.passed and row.gap > row.threshold


def _given(layer: Any) -> Iterator[tuple[str, np.ndarray]]:
    """What the guilty layer computes with, in PyTorch's layout."""
    call = layer.theirs
    parts = {
        "input": dict(named_leaves((call.args, call.kwargs), "")),
        "cotangent": call.cotangents,
        "parameter": call.module.state_dict(),
    }
    for kind, tensors in parts.items():
        for name, tensor in tensors.items():
            array = tensor.detach().cpu().numpy()
            if array.size <= LARGEST:
                yield f"layer/{kind}/{name.lstrip('.')}", array


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
    for tier, all in result.rows.items():
        for row in filter(_beyond, in_order(all)):
            place = f"{row.phase}/{row.name}"
            torch, flax = (result.evidence.get(f"{tier}/{side}/{place}") for side in ("torch", "flax"))
            if torch is not None or flax is not None:
                yield {
                    "tier": tier, "place": place, "gap": row.gap if math.isfinite(row.gap) else None,
                    "threshold": row.threshold, "because": row.because, "scale": _scale(tier, row.gap, torch, flax),
                }  # fmt: skip


def _scale(tier: str, gap: float, torch: np.ndarray | None, flax: np.ndarray | None) -> float:
    """What the gap of the row is relative to; 1 where nothing could be measured."""
    if torch is None or flax is None or not math.isfinite(gap):
        return 1.0
    return measured(tier, torch, flax) / gap


def measured(tier: str, torch: np.ndarray, flax: np.ndarray) -> float:
    """The distance that `parity.compare.rows` judges: the largest in float64, else the root mean square."""
    apart = flax.astype(np.float64) - torch
    return float(np.max(np.abs(apart))) if tier == "float64" else rms(apart)
