"""Numbers that a body computes with, as the step of an integration: another is fitted, and the model run with it.

What two tensors give has a number, too: the one that it may be multiplied by.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import torch

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.factors import plain, telling
from parity.blame.diagnosis.functions.altering import Find, Label, Site, untouched
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.fitting import LEAST, Run, fitted, is_sharp, shown
from parity.blame.diagnosis.functions.trials import FunctionTrial, around

SUMS = ("add", "radd", "iadd", "sub", "rsub", "isub", "subtract")
DIVISIONS = ("div", "truediv", "itruediv", "divide")
PRODUCTS = ("mul", "rmul", "imul", "multiply", "rdiv", "rtruediv", "lerp", *DIVISIONS)
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
CLAMPS = ("clamp", "clip")
NUMBERED = (*FUNCTIONS, *OF_TENSORS, *CLAMPS)
CAUSE = "constant"
TIMES = ("scale", "1.0")  # of what a function gives
BOUND = "bound"
TERMS = {"first": ("scale", "first"), "second": ("scale", "second")}  # of one term of a sum
SQUARES = {2: "constant-squared", -2: "constant-squared-inverse"}  # as that of a temperature
MOST_GROUPS = 48
MOST_TIMES = 1000  # a step; of a number as small as eps every other one is a multiple


class Group(NamedTuple):
    """Calls that have one number, and what each of them is to give."""

    value: float
    sites: list[Site]
    labels: list[Label]


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
    others: list[FunctionTrial] = []  # numbers that nobody has written may explain what one that somebody has does
    groups = itertools.chain(_groups(seen.sites), _alone(seen.sites), _of_terms(seen.sites), _of_bounds(seen.sites))
    for group, _ in zip(groups, range(MOST_GROUPS)):
        chosen = {(site.function, site.number): label for site, label in zip(group.sites, group.labels)}

        def computed(factor: float, chosen: dict = chosen) -> list[np.ndarray]:
            return run(lambda function, number: chosen.get((function, number)), _times(factor))[0]

        try:
            first = slice(head or None)
            fit = lambda x, of=computed, at=first: of(x)[at]  # noqa: E731
            factor = fitted(fit, oracle[first], flax[first])
            pieces = computed(factor) if factor and is_sharp(fit, factor, flax[first]) else None
        except UNFIT:
            continue
        if pieces is None:
            continue
        trial = group.labels[0][0], _told(factor, group), pieces, around(group.sites)
        if plain(group.value * factor):
            yield trial
        else:
            others.append(trial)
    yield from others


def _told(factor: float, group: Group) -> str:
    """Says which number Flax computes with."""
    first, label = group.sites[0], group.labels[0]
    if label in (TIMES, *TERMS.values()):
        known = telling(factor, first.shape)
        which = "what PyTorch's" if label == TIMES else f"the {label[1]} term of PyTorch's"
        text = f"Flax multiplies by {shown(factor)}{f', {known[1]},' if known else ''} {which} {first.function}"
        text = f"{text} gives" if label == TIMES else text
        return f"{text} ({first.function} number {first.number} of those without a number, of shape {first.shape})"
    if label[0] == BOUND:
        which, value = label[1].split("=")
        return f"Flax's {which} bound is {shown(float(value) * factor)}, PyTorch's {value} (in {first.function})"
    divisor = all(site.function in DIVISIONS for site, of in zip(group.sites, group.labels) if of[0] == CAUSE)
    ours, theirs = (shown(1 / x if divisor else x) for x in (group.value * factor, group.value))
    text = f"Flax {'divides by' if divisor else 'computes with'} {ours} where PyTorch has {theirs}"
    functions = ", ".join(dict.fromkeys(site.function for site in group.sites))
    squared = ", a square of it included" if any(of[0] != CAUSE for of in group.labels) else ""
    return f"{text} (in {len(group.sites)} calls of {functions}{squared})"


def _power(site: Site, value: float) -> Label:
    """Returns the label of the call, which computes with the number, or with its square, also as a divisor."""
    number = float(site.labels[0][1])
    causes = [cause for exponent, cause in SQUARES.items() if _near(number, _to_the(value, exponent))]
    return next((label for label in site.labels if label[0] in causes), site.labels[0])


def _to_the(value: float, exponent: int) -> float:
    """Returns the power; that of the lowest number, as of what is masked, is infinite."""
    with np.errstate(over="ignore"):
        return float(np.float64(value) ** exponent)


def _is_multiple(ratio: float) -> bool:
    return 0.5 < ratio <= MOST_TIMES and abs(ratio - round(ratio)) < 1e-9


def _near(one: float, other: float) -> bool:
    return isfinite(other) and abs(one - other) <= 1e-9 * abs(other)


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
            yield Alternative(cause, number, lambda exponent=exponent: result(factor**exponent))
    elif name in OF_TENSORS and isinstance(call.result, torch.Tensor) and call.result.is_floating_point():
        yield Alternative(*TIMES, lambda: call.result * factor)
    if name in CLAMPS:
        bounds = {"lower": (1, "min"), "upper": (2, "max")}
        now = {option: call.option(place, option) for place, option in bounds.values()}
        for which, (_, option) in bounds.items():
            if is_number(now[option]):
                moved = now | {option: now[option] * factor}
                yield Alternative(BOUND, f"{which}={now[option]!r}", lambda moved=moved: torch.clamp(call.x, **moved))
    if name in SUMS and not values and len(call.args) > 1:
        first, second = call.args[:2]
        yield Alternative(*TERMS["first"], lambda: call.function(first * factor, second, **call.kwargs))
        yield Alternative(*TERMS["second"], lambda: call.function(first, second * factor, **call.kwargs))


def _group(value: float, sites: Sequence[Site]) -> Group:
    return Group(value, list(sites), [_power(site, value) for site in sites])


def _alone(sites: Sequence[Site]) -> Iterator[Group]:
    """Yields each call by itself, where several have its number, and those of tensors without one."""
    numbered = [site for site in sites if site.labels and site.labels[0][0] == CAUSE]
    numbers = [site.labels[0][1] for site in numbered]
    yield from (_group(float(x), [site]) for site, x in zip(numbered, numbers) if numbers.count(x) > 1)
    yield from (Group(1.0, [site], [TIMES]) for site in sites if TIMES in site.labels)


def _of_terms(sites: Sequence[Site]) -> Iterator[Group]:
    """Yields each term of a sum of tensors, as of an embedding that is multiplied on one side alone."""
    yield from (Group(1.0, [site], [term]) for site in sites for term in TERMS.values() if term in site.labels)


def _of_bounds(sites: Sequence[Site]) -> Iterator[Group]:
    """Yields each bound of what is clipped, wherever it is the same and by itself."""
    bounds = dict.fromkeys(label for site in sites for label in site.labels if label[0] == BOUND)
    for bound in bounds:
        same = [site for site in sites if bound in site.labels]
        yield Group(float(bound[1].split("=")[1]), same, [bound] * len(same))


def _groups(sites: Sequence[Site]) -> Iterator[Group]:
    """Yields each number with the calls that have it, those that have a multiple, as times of steps, and its square."""
    found = [(float(site.labels[0][1]), site) for site in sites if site.labels and site.labels[0][0] == CAUSE]
    for value in dict.fromkeys(value for value, _ in found):
        same = [site for other, site in found if other == value]
        yield _group(value, same)
        multiples = [site for other, site in found if _is_multiple(other / value)]
        if len(multiples) > len(same):
            yield _group(value, multiples)
        squares = [
            site for other, site in found if abs(value) != 1 and any(_near(other, _to_the(value, k)) for k in SQUARES)
        ]
        if squares:
            yield _group(value, [*same, *squares])
