"""Whether the programs compute the same: their losses, before anything is timed."""

import math
from collections.abc import Sequence
from itertools import zip_longest

from parity.bench.precision import Precision

# Of the losses of calls 1, 2 and 3, see `loss_gaps`: the precision's rounding, then what updates make of it.
TOLERANCE: dict[Precision, tuple[float, ...]] = {
    "highest": (1e-5, 1e-3, 1e-3),
    "tf32": (1e-3, 1e-2, 1e-2),
    "bfloat16": (3e-2, 1e-1, 1e-1),
}
AS_FAR = 16
MOST = 0.05
Gaps = dict[str, tuple[float, ...]]


def loss_gaps(losses: dict[str, tuple[float, ...]]) -> Gaps:
    """Distances from torch_eager's losses, relative to the largest of these; NaN where one is not finite.

    Not to each: after a step that takes ResNet-18 from 3.0 to 0.14, moving every weight by one bit
    changes what is left by 1 % of itself.
    """
    oracle = losses["torch_eager"]
    scale = max(1e-30, *map(abs, oracle))
    others = {name: series for name, series in losses.items() if name != "torch_eager"}
    return {name: tuple(_gap(*pair, scale) for pair in zip(series, oracle)) for name, series in others.items()}


def _gap(loss: float, oracle: float, scale: float) -> float:
    gap = abs(loss - oracle)
    return gap / scale if math.isfinite(gap) else math.nan


def agree(gaps: Gaps, precision: Precision = "highest", by_one_bit: Sequence[float] = ()) -> bool:
    """Tells whether something was compared and every gap is within its limit; NaN is not.

    by_one_bit: PyTorch's gaps from weights moved by one bit. Where these part, as after a step of a network that is
                batch normalised over few pixels, others may part `AS_FAR` times as far, but never by more than `MOST`.
    """
    parted = (min(AS_FAR * gap, MOST) for gap in by_one_bit)
    limits = [max(pair) for pair in zip_longest(TOLERANCE[precision], parted, fillvalue=0.0)]
    return bool(gaps) and all(gap <= limit for per_call in gaps.values() for gap, limit in zip(per_call, limits))
