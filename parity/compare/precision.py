"""Low precision against the float64 oracle: is Flax as close as PyTorch is?"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.policy import BLUNT, NOTHING, POLICY, UNIT, Policy
from parity.compare.rows import Row, comparable, row, structure
from parity.compare.scale import rms_gap, scales_of


def compare_precision(
    oracle: Record,
    reference: Mapping[Key, float],
    flax: Record,
    longest_sum: int,
    dtype: str = "float32",
    policy: Policy = POLICY,
    subtracted: Mapping[Key, float] = NOTHING,
    corrected: Mapping[Key, float] = NOTHING,
) -> list[Row]:
    """Is Flax as close to the float64 oracle as PyTorch is? The root mean square error counts.

    reference: PyTorch's own error, see `errors_of`
    corrected: see `compare_semantics`; PyTorch takes 1 - beta^t in float64, whatever its tensors are, JAX in theirs
    """
    # Products of bfloat16 are summed in float32.
    floor = policy.sums * max(UNIT[dtype], math.sqrt(longest_sum) * UNIT["float32"])
    blunt = max(policy.blunt, 50 * UNIT[dtype])
    scales = scales_of(oracle)

    def judge(key: Key) -> Row:
        scale, note = scales[key]
        error = rms_gap(flax[key], oracle[key]) / scale
        if math.isinf(reference[key]):
            return row(key, error, 0.0, f"PyTorch's own {dtype} result is not finite", "fail")
        if np.issubdtype(oracle[key].dtype, np.integer):
            return row(key, error, policy.ratio * reference[key], f"{policy.ratio:g} x PyTorch's {reference[key]:.1e}")
        because = f"{policy.ratio:g} x PyTorch's {reference[key]:.1e} + {policy.sums:g} x sqrt({longest_sum}) ulp{note}"
        limit = policy.ratio * reference[key] + floor + UNIT[dtype] * subtracted.get(key, 0.0) / scale
        of_update = key._replace(phase="update", slot="")
        if key.phase in ("update", "optimizer") and of_update in corrected:
            limit += UNIT[dtype] / corrected[of_update]
            because += " + ulp of 1 - beta^t"
        if limit > blunt:
            return replace(row(key, error, limit, f"{BLUNT}{because}"), blunt=True)
        return row(key, error, limit, because)

    return [*structure(oracle, flax, dtype), *map(judge, comparable(oracle, flax))]
