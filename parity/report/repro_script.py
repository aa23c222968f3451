"""Where a parity check failed: PyTorch's tensors, Flax's, the place and the gap. Needs numpy alone.

python repro.py            what the check has seen: exit status 1, since the tensors differ
python repro.py NEW.npz    Flax's tensors computed again, under the names that they have in arrays.npz

arrays.npz: {tier}/torch/{place} and {tier}/flax/{place} of each failing tensor, and of the guilty layer
            layer/input/*, layer/cotangent/* and layer/parameter/*, all in PyTorch's layout
rows.json:  what the check said of them
"""

import json
import sys
from pathlib import Path

import numpy as np


def gap_of(row, torch, flax):
    """The largest difference in float64, the root mean square in lower precision, relative to the scale."""
    if torch is None or flax is None or torch.shape != flax.shape or not torch.size:
        return float("inf")
    apart = np.abs(flax.astype(np.float64) - torch)
    size = np.max(apart) if row["tier"] == "float64" else np.sqrt(np.mean(np.square(apart)))
    return float(size) / row["scale"] if np.isfinite(size) else float("inf")


def lines_of(row, torch, flax):
    """The verdict on a row, and where it is furthest apart."""
    gap = gap_of(row, torch, flax)
    verdict = "differ" if gap > row["threshold"] else "agree"
    yield f"{verdict}: {row['tier']} {row['place']}: gap {gap:.3e}, threshold {row['threshold']:.3e} ({row['because']})"
    shapes = [None if array is None else array.shape for array in (torch, flax)]
    if shapes[0] != shapes[1]:
        yield f"  shape {shapes[0]} in PyTorch, {shapes[1]} in Flax"
    elif verdict == "differ" and torch.size:
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(np.abs(flax.astype(np.float64) - torch), nan=np.inf)
        at = tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
        yield f"  furthest apart at {list(at)}: {torch[at].item()!r} in PyTorch, {flax[at].item()!r} in Flax"


def main(arguments):
    """Prints the blame and every row; returns 1 if any tensors differ."""
    folder = Path(__file__).parent
    about = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    arrays = dict(np.load(folder / "arrays.npz", allow_pickle=False))
    for path in arguments:
        arrays.update(np.load(path, allow_pickle=False))
    print(f"{about['name']}: {about['blame'] or 'the first failing tensors'}")
    differ = False
    for row in about["rows"]:
        pair = [arrays.get(f"{row['tier']}/{side}/{row['place']}") for side in ("torch", "flax")]
        print(*lines_of(row, *pair), sep="\n")
        differ |= gap_of(row, *pair) > row["threshold"]
    for name in (name for name in arrays if name.startswith("layer/")):
        print(f"given: {name} {arrays[name].shape}")
    return int(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
