"""Whether the programs compute the same: their losses, before anything is timed."""

import math

from parity.bench.conditions import Precision

# Of the losses of calls 1, 2 and 3, see `loss_gaps`: the precision's rounding, then what updates make of it.
TOLERANCE: dict[Precision, tuple[float, ...]] = {
    "highest": (1e-5, 1e-3, 1e-3),
    "tf32": (1e-3, 1e-2, 1e-2),
    "bfloat16": (3e-2, 1e-1, 1e-1),
}
Gaps = dict[str, tuple[float, ...]]


def loss_gaps(losses: dict[str, tuple[float, ...]]) -> Gaps:
    """Distances from torch_eager's losses, relative to the largest of these; NaN where one is not finite.

    Not to each: after a step that takes ResNet-18 from 3.0 to 0.14, moving every weight by one bit
    changes what is left by 1 % of itself.
    """
    oracle = losses["torch_eager"]
    scale = max(1e-30, *map(abs, oracle))
    others = {name: own for name, own in losses.items() if name != "torch_eager"}
    return {name: tuple(_gap(*pair, scale) for pair in zip(own, oracle)) for name, own in others.items()}


def _gap(loss: float, oracle: float, scale: float) -> float:
    gap = abs(loss - oracle)
    return gap / scale if math.isfinite(gap) else math.nan


def agree(gaps: Gaps, precision: Precision = "highest") -> bool:
    """Whether something was compared and every gap is within `TOLERANCE`; NaN is not."""
    limits = TOLERANCE[precision]
    return bool(gaps) and all(gap <= limit for own in gaps.values() for gap, limit in zip(own, limits))
