"""float64 against float64: is it the same mathematics?"""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.policy import NO_SPREAD, NOTHING, POLICY, UNIT, VISIBLE, Policy
from parity.compare.rows import Row, comparable, row, structure
from parity.compare.scale import largest, largest_gap, scales_of

SMALL = 1e-3  # of a gradient's scale: elements above it are never left out


def compare_semantics(
    oracle: Record,
    flax: Record,
    noise: Mapping[Key, float],
    longest_sum: int,
    policy: Policy = POLICY,
    subtracted: Mapping[Key, float] = NOTHING,
    spread: Record = NO_SPREAD,
    corrected: Mapping[Key, float] = NOTHING,
) -> list[Row]:
    """float64 against float64: is it the same mathematics? The largest difference counts.

    noise:      see `noise_of`
    subtracted: of what is a difference, the largest of the numbers that were subtracted: their last digit is all
                that it can be known to
    corrected:  of updates that are divided by 1 - beta^t, that number: its own last digit counts as often
    spread:     the updates' noise by element: an optimiser that divides by the gradient's size makes noise of
                what is zero but for rounding
    """
    unit = UNIT["float64"]
    scales = scales_of(oracle)

    def judge(key: Key) -> Row:
        scale, note = scales[key]
        gap = largest_gap(flax[key], oracle[key]) / scale
        if key.is_measure and noise[key] > policy.ceiling:
            return row(key, 0.0, 0.0, "undetermined: a last digit decides what is counted, in PyTorch too")
        rounding = math.sqrt(longest_sum) * unit
        last_digit = unit * subtracted.get(key, 0.0) / scale
        origins = {f"noise {noise[key]:.1e}": noise[key], f"sqrt({longest_sum}) ulp": rounding}
        origins["ulp of the parameter"] = last_digit
        if key in corrected:
            origins["ulp of 1 - beta^t"] = unit / corrected[key]
        origin = max(origins, key=origins.__getitem__)
        threshold = policy.noise_factor * origins[origin]
        because = f"{policy.noise_factor:g} x {origin}{note}"
        if noise[key] <= 4 * last_digit < VISIBLE:
            return row(key, gap, threshold, because)
        whole = _below_ceiling(key, gap, threshold, because, policy)
        if whole.passed or threshold <= policy.ceiling or key not in spread:
            return whole
        digit = max(last_digit, origins.get("ulp of 1 - beta^t", 0.0))
        scales_here = scale, scales[key._replace(phase="gradients")][0]
        return _where_determined(key, oracle, flax, noise, scales_here, spread[key], digit, policy)

    return [*structure(oracle, flax, "float64"), *map(judge, comparable(oracle, flax))]


def near(rows: Sequence[Row], policy: Policy, noise: Mapping[Key, float] = NOTHING) -> bool:
    """Tells whether some row fails by so little that more noise could excuse it.

    Noise above the ceiling excuses updates where their gradient is near its rounding, and measures, unless what they
    are made of is wrong.
    """
    wrong = [row for row in rows if not row.passed]
    sharp = [row for row in wrong if not row.key.is_measure]
    return any(
        row.gap <= policy.ceiling
        or (row.key.phase == "update" and policy.noise_factor * noise.get(row.key, 0.0) > policy.ceiling)
        for row in sharp
    ) or bool(wrong and not sharp)


def told_sharply(rows: Sequence[Row], policy: Policy) -> set[Key]:
    """Returns the tensors, with no step, that are a function of a step's state and have passed below the ceiling."""
    functions = [row for row in rows if row.key.phase in ("forward", "gradients")]
    return {row.key._replace(step=0) for row in functions if row.passed and 0 < row.threshold <= policy.ceiling}


def steep_here(rows: Sequence[Row], told: Collection[Key], noise: Mapping[Key, float], policy: Policy) -> list[Row]:
    """Returns the rows; a gap within the noise passes above the ceiling, too, where a step before has told the tensor.

    Training may lead to a state in which an ulp moves a tensor by more than the ceiling: a mistake in it would have
    been seen in the state before.
    """

    def judged(each: Row) -> Row:
        threshold = policy.noise_factor * noise.get(each.key, 0.0)
        if each.passed or each.key._replace(step=0) not in told or not each.gap <= threshold:
            return each
        return row(each.key, each.gap, threshold, f"{each.because}; a step before has told it")

    return list(map(judged, rows))


def _below_ceiling(key: Key, gap: float, threshold: float, because: str, policy: Policy) -> Row:
    """Noise above the ceiling excuses no gap above it: what one ulp does to such a tensor would hide a mistake."""
    if threshold <= policy.ceiling:
        return row(key, gap, threshold, because)
    if gap <= policy.ceiling:
        return row(key, gap, policy.ceiling, f"the ceiling; {because} is above it")
    return row(key, gap, policy.ceiling, f"ill-conditioned: {because} is above the ceiling", "fail")


def _where_determined(
    key: Key,
    oracle: Record,
    flax: Record,
    noise: Mapping[Key, float],
    scales: tuple[float, float],
    spread: np.ndarray,
    digit: float,
    policy: Policy,
) -> Row:
    """An update where its gradient is above its own rounding; elsewhere its sign is chance, on both sides.

    Divided by the gradient's size, as in Adam's first step, rounding that is a part of the ceiling's size is too much.

    scales: of the update and of its gradient
    digit:  to which the update is known there, by its parameter's last digit and by that of 1 - beta^t
    """
    gradient = key._replace(phase="gradients")
    noisy = max(noise[gradient], UNIT["float64"])
    scale, gradient_scale = scales
    zero = 1e3 * noisy * gradient_scale
    floor = max(zero, min(policy.noise_factor * noisy / policy.ceiling, SMALL) * gradient_scale)
    clear = np.abs(oracle[gradient]) > floor
    if not clear.any():
        return row(key, 0.0, 0.0, "undetermined: the gradient is analytically zero")
    gap = largest((flax[key] - oracle[key])[clear]) / scale
    found = float(np.max(spread[clear])) / scale
    threshold = policy.noise_factor * max(found, digit, UNIT["float64"] * largest(oracle[key]) / scale)
    because = f"{policy.noise_factor:g} x " + (f"noise {found:.1e}" if found > digit else f"its last digit {digit:.1e}")
    if not clear.all():
        why = "analytically zero" if largest(oracle[gradient][~clear]) <= zero else "near its rounding"
        because += f"; {np.mean(~clear):.0%} left out, their gradient is {why}"
    return _below_ceiling(key, gap, threshold, because, policy)
