"""Numbers that a body computes with, as the step of an integration: another is fitted, and the model run with it.

What two tensors give has a number, too: the one that it may be multiplied by.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.functions.altering import Altering, Choice, Find, Label, Site, untouched
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.trials import FunctionTrial, around

SUMS = ("add", "radd", "iadd", "sub", "rsub", "isub", "subtract")
DIVISIONS = ("div", "truediv", "itruediv", "divide")
PRODUCTS = ("mul", "rmul", "imul", "multiply", "rtruediv", "lerp", *DIVISIONS)
WHOLE = (*PRODUCTS, "pow")  # in which a whole number may stand for any
OPTIONS = (
    "cross_entropy",
    "huber_loss",
    "smooth_l1_loss",
    "margin_ranking_loss",
    "leaky_relu",
    "softplus",
    "pow",
    "rpow",
)
FUNCTIONS = (*SUMS, *PRODUCTS, *OPTIONS, "full", "full_like", "new_full")
OF_TENSORS = ("mul", "sub", "rsub", "matmul", "bmm", "mm", "einsum", "sum", "mean", "tanh", "sin", "exp", "softmax")
NUMBERED = (*FUNCTIONS, *OF_TENSORS)
CAUSE = "constant"
TIMES = "scale"
SQUARES = {2: "constant-squared", -2: "constant-squared-inverse"}  # as that of a temperature
LEAST = 6  # numbers to which the one is fitted
MOST_GROUPS = 48
MOST_RUNS = 12
DONE = 1e-10

Run = Callable[[Choice, Find], tuple[Any, Altering]]


def number_trials(
    run: Run, oracle: Sequence[np.ndarray], flax: Sequence[np.ndarray], head: int = 0
) -> Iterator[FunctionTrial]:
    """Yields what the model computes with another number in the place of one, alone or with its multiples.

    run:  computes with a choice among what lists alternatives; returns the pieces that are compared, and the mode
    head: of the pieces, how many first ones the number is fitted to; 0 is all. Losses tell it, where an optimiser
          makes of gradients what says little of their size
    """
    if sum(array.size for array in flax) < LEAST or [x.shape for x in oracle] != [x.shape for x in flax]:
        return
    try:
        _, seen = run(untouched, _times(1.0))
    except UNFIT:
        return
    groups = itertools.chain(_groups(seen.sites), _alone(seen.sites))
    for (value, sites), _ in zip(groups, range(MOST_GROUPS)):
        chosen = {(site.function, site.number): _power(site, value) for site in sites}

        def computed(factor: float, chosen: dict = chosen) -> list[np.ndarray]:
            return run(lambda function, number: chosen.get((function, number)), _times(factor))[0]

        try:
            first = slice(head or None)
            factor = _fitted(lambda x, of=computed, at=first: of(x)[at], oracle[first], flax[first])
            pieces = computed(factor) if factor else None
        except UNFIT:
            continue
        if factor and pieces is not None:
            yield sites[0].labels[0][0], _told(factor, value, sites), pieces, around(sites)


def _told(factor: float, value: float, sites: list[Site]) -> str:
    """Says which number Flax computes with."""
    first = sites[0]
    if first.labels[0][0] == TIMES:
        text = f"Flax multiplies by {_shown(factor)} what PyTorch's {first.function} gives"
        return f"{text} ({first.function} number {first.number} of those without a number, of shape {first.shape})"
    plain = [site for site in sites if _power(site, value) == site.labels[0]]
    divisor = all(site.function in DIVISIONS for site in plain)
    ours, theirs = (_shown(1 / x if divisor else x) for x in (value * factor, value))
    text = f"Flax {'divides by' if divisor else 'computes with'} {ours} where PyTorch has {theirs}"
    functions = ", ".join(dict.fromkeys(site.function for site in sites))
    squared = ", a square of it included" if len(plain) < len(sites) else ""
    return f"{text} (in {len(sites)} calls of {functions}{squared})"


def _power(site: Site, value: float) -> Label:
    """Returns the label of the call, which computes with the number, or with its square, also as a divisor."""
    exponents = {
        SQUARES[exponent]: exponent for exponent in SQUARES if _near(float(site.labels[0][1]), value**exponent)
    }
    return next((label for label in site.labels if label[0] in exponents), site.labels[0])


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * abs(other)


def _times(factor: float) -> Find:
    """Returns what lists the number of a call, as its own alternative, and computes with it times the factor."""
    return lambda name, right: partial(_listed, name, factor) if name in NUMBERED and not right else None


def _listed(name: str, factor: float, call: FunctionCall) -> Iterator[Alternative]:
    """Yields the call with its number times the factor; what is divided by counts as its reciprocal."""
    real = any(isinstance(x, torch.Tensor) and x.is_floating_point() for x in call.args)
    kinds = (float, int) if name in WHOLE and real else (float,)

    def is_number(x: Any) -> bool:
        return isinstance(x, kinds) and not isinstance(x, bool) and bool(x) and isfinite(x)

    def result(times: float) -> Any:
        scaled = lambda x: x if not is_number(x) else x / times if name in DIVISIONS else x * times  # noqa: E731
        return call.function(*map(scaled, call.args), **{key: scaled(x) for key, x in call.kwargs.items()})

    values = [float(x) for x in (*call.args, *call.kwargs.values()) if is_number(x)]
    if values and name in FUNCTIONS:
        number = repr(1 / values[0] if name in DIVISIONS else values[0])
        yield Alternative(CAUSE, number, partial(result, factor))
        for exponent, cause in SQUARES.items():
            yield Alternative(cause, number, partial(result, factor**exponent))
    elif name in OF_TENSORS and isinstance(call.result, torch.Tensor) and call.result.is_floating_point():
        yield Alternative(TIMES, "1.0", lambda: call.result * factor)


def _alone(sites: Sequence[Site]) -> Iterator[tuple[float, list[Site]]]:
    """Yields each call by itself, where several have its number, and those of tensors without one."""
    numbers = [site.labels[0][1] for site in sites if site.labels and site.labels[0][0] == CAUSE]
    for site in sorted((site for site in sites if site.labels), key=lambda site: site.labels[0][0] == TIMES):
        cause, number = site.labels[0]
        if cause == TIMES or numbers.count(number) > 1:
            yield float(number), [site]


def _groups(sites: Sequence[Site]) -> Iterator[tuple[float, list[Site]]]:
    """Yields each number with the calls that have it, those that have a multiple, as times of steps, and its square."""
    found = [(float(site.labels[0][1]), site) for site in sites if site.labels and site.labels[0][0] == CAUSE]
    for value in dict.fromkeys(value for value, _ in found):
        same = [site for other, site in found if other == value]
        yield value, same
        multiples = [site for other, site in found if abs(other / value - round(other / value)) < 1e-9 <= other / value]
        if len(multiples) > len(same):
            yield value, multiples
        squares = [site for other, site in found if abs(value) != 1 and any(_near(other, value**k) for k in SQUARES)]
        if squares:
            yield value, [*same, *squares]


def _fitted(
    computed: Callable[[float], Sequence[np.ndarray]], oracle: Sequence[np.ndarray], flax: Sequence[np.ndarray]
) -> float:
    """Returns the factor under which the model computes what Flax does, by secants; 0 where none is found."""
    target = _row(flax)
    factor, before = 1.1, 1.0
    last, gap = _row(oracle), distance(oracle, flax, oracle)
    for number in range(MOST_RUNS):
        pieces = computed(factor)
        now, left = _row(pieces), distance(pieces, flax, oracle)
        if left <= DONE:
            return factor
        slope = (now - last) / (factor - before)
        square = float(slope @ slope)
        if (
            not np.isfinite(left) or not square or (number and left > (0.5 if number > 1 else 0.9) * gap)
        ):  # the first step goes far
            return 0.0
        before, last, gap = factor, now, left
        factor += float(slope @ (target - now)) / square
        if factor == before:
            return 0.0
    return 0.0


def _row(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(piece, np.float64).ravel() for piece in pieces])


def _shown(value: float) -> str:
    """Returns the number as a fraction where it is one of few digits that no decimal is."""
    if float(f"{value:.6g}") == value or abs(value - float(f"{value:.4g}")) <= 1e-10 * abs(value):
        return f"{value:.6g}"
    fraction = Fraction(value).limit_denominator(999)
    near = fraction and abs(value - fraction) <= 1e-10 * abs(value)
    return f"{fraction} = {value:.6g}" if near else f"{value:.10g}"
