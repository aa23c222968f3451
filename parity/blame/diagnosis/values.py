"""Hypotheses on two arrays: Flax's numbers are a simple function of PyTorch's."""

from collections.abc import Callable, Iterator

import numpy as np

from parity.blame.diagnosis.factors import telling
from parity.blame.diagnosis.order import Explanation, product_without


def counted(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A whole number against a different one: a counter, not a factor."""
    if oracle.size == flax.size == 1 and oracle.item().is_integer() and flax.item().is_integer() and flax.any():
        text = f"Flax has counted {flax.item():.0f}, PyTorch {oracle.item():.0f}"
        yield "count", text, flax


def scaled(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A constant factor, with the reason where the number has one."""
    if oracle.shape != flax.shape or not (power := np.vdot(oracle, oracle)) > 0:
        return
    factor = float(np.vdot(oracle, flax) / power)
    if factor == 0 or not np.isfinite(factor):
        return
    known = telling(factor, oracle.shape)
    if known is not None:
        yield known[0], f"Flax is {factor:.6g} times PyTorch: {known[1]}", known[2] * oracle
    elif np.count_nonzero(oracle) >= 3:
        yield "scale", f"Flax is {factor:.10g} times PyTorch", factor * oracle


def offset(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A constant summand."""
    if oracle.shape == flax.shape and oracle.size >= 2:
        summand = float(np.mean(flax - oracle))
        yield "offset", f"Flax is PyTorch {summand:+.10g}", oracle + summand


def affine(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A constant factor and a constant summand."""
    if oracle.shape != flax.shape or np.unique(oracle).size < 4:
        return
    centred = oracle - oracle.mean()
    factor = float(np.vdot(centred, flax) / np.vdot(centred, centred))
    if abs(factor) < 1e-6:
        return
    summand = float(np.mean(flax - factor * oracle))
    yield "scale-and-offset", f"Flax is {factor:.10g} times PyTorch {summand:+.10g}", factor * oracle + summand


def bias(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A vector along one axis is added: a bias that one side lacks."""
    if oracle.shape != flax.shape or oracle.ndim < 2:
        return
    for axis in (1, *range(oracle.ndim - 1, 1, -1), 0):
        if product_without(oracle.shape, axis) < 2 or oracle.shape[axis] < 2:
            continue
        others = tuple(place for place in range(oracle.ndim) if place != axis)
        vector = np.mean(flax - oracle, others, keepdims=True)
        if not (oracle % 1).any() and not (flax % 1).any():
            shown = ", ".join(f"{x:+g}" for x in vector.ravel()[:8])
            yield "offset", f"Flax's whole numbers are PyTorch's {shown} along axis {axis}: indices", oracle + vector
        yield "bias", f"a vector along axis {axis} is added: a bias that one side lacks or has twice", oracle + vector


def shared_offset(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The same is added to every slice along one axis, such as a positional encoding."""
    if oracle.shape != flax.shape or oracle.ndim < 3:
        return
    for axis, length in enumerate(oracle.shape):
        if length >= 2:
            explained = oracle + np.mean(flax - oracle, axis, keepdims=True)
            yield "shared-offset", f"the same array is added to every slice along axis {axis}", explained


def channel_scale(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A factor for each slice along an axis: a scale that one side lacks, a norm of another eps."""
    if oracle.shape != flax.shape or oracle.ndim < 2:
        return
    for axis in (1, *range(oracle.ndim - 1, 1, -1), 0):
        others = tuple(place for place in range(oracle.ndim) if place != axis)
        if oracle.shape[axis] < 2 or np.min(np.count_nonzero(oracle, others)) < 3:
            continue
        power = np.sum(oracle * oracle, others, keepdims=True)
        factor = np.sum(oracle * flax, others, keepdims=True) / power
        if np.all(factor != 0):
            shown = f"{factor.min():.6g} to {factor.max():.6g}"
            yield "scale-per-channel", f"every slice along axis {axis} has its own factor, {shown}", factor * oracle


def clipped(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """Flax stops at a bound that PyTorch passes; two values at the bound are needed to see one."""
    if oracle.shape != flax.shape or flax.size < 4:
        return
    low = float(flax.min())
    high = float(flax.max())
    at_low = np.sum(flax == low) >= 2
    at_high = np.sum(flax == high) >= 2
    if low == high or not (at_low or at_high):
        return
    bounds = f"{f'{low:.6g}' if at_low else '-inf'} .. {f'{high:.6g}' if at_high else 'inf'}"
    explained = np.clip(oracle, low if at_low else -np.inf, high if at_high else np.inf)
    if np.unique(explained).size > 3:
        yield "clipped", f"Flax is clipped to {bounds}", explained


def unclipped(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """PyTorch stops at a bound that Flax passes."""
    if oracle.shape != flax.shape or oracle.size < 4:
        return
    low = float(oracle.min())
    high = float(oracle.max())
    at_low = (oracle == low) & (flax < low)
    at_high = (oracle == high) & (flax > high)
    beyond = (at_low if np.sum(at_low) >= 2 else False) | (at_high if np.sum(at_high) >= 2 else np.zeros_like(at_high))
    if np.any(beyond) and np.unique(oracle[~beyond]).size > 3:
        ends = (f"{bound:.6g}" for bound, at in ((low, at_low), (high, at_high)) if np.sum(at) >= 2)
        text = f"Flax goes on where PyTorch is clipped to {' and '.join(ends)}"
        yield "unclipped", text, np.where(beyond, flax, oracle)


FUNCTIONS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    ("absolute", "the absolute value", np.abs),
    ("relu", "a rectifier", lambda x: np.maximum(x, 0)),
    ("square", "the square", np.square),
    ("square-root", "the square root", np.sqrt),
    ("reciprocal", "the reciprocal", lambda x: 1 / x),
    ("exponential", "the exponential", np.exp),
    ("logarithm", "the logarithm", np.log),
    ("sigmoid", "the sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ("tanh", "the hyperbolic tangent", np.tanh),
    ("one-minus", "one minus it", lambda x: 1 - x),
]


def functions(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """An elementary function more, element by element."""
    if oracle.shape != flax.shape or oracle.size < 2:
        return
    for name, text, function in FUNCTIONS:
        with np.errstate(all="ignore"):
            explained = function(oracle)
        if np.all(np.isfinite(explained)) and np.any(explained):
            yield name, f"Flax has {text} of PyTorch's values", explained


def signs(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """The same numbers but for the signs of some."""
    if oracle.shape == flax.shape and np.unique(np.abs(oracle)).size >= 3:
        count = int(np.sum(np.signbit(oracle) != np.signbit(flax)))
        yield "signs", f"{count} of {oracle.size} values have the other sign in Flax", np.copysign(oracle, flax)


def softmaxes(oracle: np.ndarray, flax: np.ndarray) -> Iterator[Explanation]:
    """A softmax, or its logarithm, along some axis."""
    if oracle.shape != flax.shape:
        return
    for axis, length in enumerate(oracle.shape):
        if length >= 2:
            with np.errstate(all="ignore"):
                shifted = oracle - oracle.max(axis, keepdims=True)
                logs = shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))
            yield "softmax", f"Flax has the softmax of PyTorch's values along axis {axis}", np.exp(logs)
            yield "log-softmax", f"Flax has the log-softmax of PyTorch's values along axis {axis}", logs


HYPOTHESES = [counted, scaled, offset, functions, softmaxes, affine, clipped, unclipped]
CHANNELS = [bias, shared_offset, channel_scale]
LAST = [signs]
