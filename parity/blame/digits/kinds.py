"""How an equation loses digits, in words; and the formulas that are known for it."""

from typing import NamedTuple

import numpy as np

from parity.blame.diagnosis.cause import rms
from parity.blame.digits.shadow import Known, Lossy, is_finite
from parity.blame.source import source_of

NORMS = "flax/nnx/nn/normalization.py", "flax/linen/normalization.py"
SUMS = ("sub", "add", "add_any", "reduce_sum", "dot_general", "cumsum", "reduce_window_sum")
COPIES = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "convert_element_type", "copy", "max")
SMALLER = 10.0  # a sum so many times smaller than its terms has lost a digit
LARGE = 100.0  # radians


class Kind(NamedTuple):
    """The short name of a cause, and what the expression does, in words."""

    name: str
    words: str


def kind_of(lossy: Lossy, overflow: Lossy | None) -> Kind:
    """Returns how the equation loses digits.

    overflow: the first equation of the program that gives what is not finite
    """
    name = lossy.equation.primitive.name
    if beyond := _beyond(lossy, overflow):
        return beyond
    if name in SUMS and (ratio := _cancelled(lossy)) > SMALLER:
        return _named_difference(lossy, ratio)
    if name == "log" and _near_one(lossy.given[0]):
        return Kind("log1p", "takes the logarithm of 1 + x, which holds few digits of a small x; jnp.log1p is right")
    if name in ("sin", "cos", "tan") and (size := float(np.max(np.abs(lossy.given[0].exact)))) > LARGE:
        digit = float(np.spacing(np.float32(size)))
        return Kind("large-argument", f"is given up to {size:.0e}, of which float32 holds {digit:.0e}")
    before = max((each.error for each in lossy.given), default=0.0)
    return Kind("digits-lost", f"makes an error of {lossy.result.error:.0e} of one of {before:.0e}")


def _beyond(lossy: Lossy, overflow: Lossy | None) -> Kind | None:
    """Returns the kind of numbers beyond float32's largest or below its smallest, if they are."""
    if not all(map(is_finite, lossy.given)) and overflow is not None:
        largest = float(np.max(np.abs(overflow.result.exact)))
        origin = source_of(overflow.equation) or overflow.equation.primitive.name
        return Kind("overflow", f"is given infinite numbers: {origin} gives {largest:.0e}, float32 ends at 3e+38")
    if any(map(_vanished, lossy.given)) and not is_finite(lossy.result):
        return Kind("underflow", "is given 0, where float64 has a number below float32's smallest")
    return None


def _vanished(known: Known) -> bool:
    if not np.issubdtype(known.exact.dtype, np.floating):
        return False
    return bool(np.any((np.asarray(known.array, np.float64) == 0) & (known.exact != 0)))


def _cancelled(lossy: Lossy) -> float:
    terms = max((rms(each.exact) for each in lossy.given), default=0.0)
    return terms / (rms(lossy.result.exact) or 1e-300)


def _named_difference(lossy: Lossy, ratio: float) -> Kind:
    made = [_source(each) for each in lossy.given]
    if len(made) == 2 and lossy.equation.primitive.name == "sub":
        if _squared_mean(made[1]) and _mean_square(made[0]):
            text = "computes the variance as the mean square less the squared mean"
            return Kind("fast-variance", f"{text}, which loses digits where the mean is large")
        if "exp" in (made[0].primitive, made[1].primitive) and any(_is_one(each) for each in lossy.given):
            text = f"takes 1 from an exponential that is nearly 1, which leaves {1 / ratio:.0e} of it"
            return Kind("expm1", f"{text}; jnp.expm1 is right")
    return Kind("cancellation", f"is {ratio:.0e} times smaller than what it is the sum or difference of")


def _source(known: Known) -> Known:
    """Returns what a copy in another shape is a copy of."""
    while known.primitive in COPIES and known.given:
        known = known.given[0]
    return known


def _squared(known: Known) -> Known | None:
    """Returns what has been squared, if anything has."""
    if known.primitive == "square" or (known.primitive == "integer_pow" and known.params.get("y") == 2):
        return _source(known.given[0])
    if known.primitive == "mul" and len(known.given) == 2 and known.given[0].array is known.given[1].array:
        return _source(known.given[0])
    return None


def _mean(known: Known) -> Known | None:
    """Returns what the mean has been taken of, if one has: a sum, divided or multiplied by a number."""
    if known.primitive in ("div", "mul") and known.given:
        known = _source(known.given[0])
    return _source(known.given[0]) if known.primitive == "reduce_sum" else None


def _squared_mean(known: Known) -> bool:
    base = _squared(known)
    return base is not None and _mean(base) is not None


def _mean_square(known: Known) -> bool:
    base = _mean(known)
    return base is not None and _squared(base) is not None


def _near_one(known: Known) -> bool:
    return bool(np.median(np.abs(known.exact - 1)) < 0.1)


def _is_one(known: Known) -> bool:
    return bool(np.all(known.exact == 1))
