"""Activations of one constant, such as softplus of some beta: Flax's constant is fitted, and the model run with it."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.functions.altering import Label, Site, untouched
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall
from parity.blame.diagnosis.functions.fitting import LEAST, Computed, Run, fitted, is_sharp, shown
from parity.blame.diagnosis.functions.trials import FunctionTrial, around

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh"),
    *("softsign", "hardswish", "hardsigmoid", "hardtanh", "logsigmoid", "softshrink", "hardshrink", "tanhshrink"),
    *("threshold", "prelu"),
)
FAMILIES: dict[tuple[str, str], Callable[[torch.Tensor, float], torch.Tensor]] = {
    ("leaky-slope", "a leaky ReLU of slope {}"): lambda x, p: torch.where(x > 0, x, p * x),
    ("elu-alpha", "ELU of alpha={}"): lambda x, p: torch.where(x > 0, x, p * torch.expm1(x)),
    ("elu-alpha", "CELU of alpha={}"): lambda x, p: torch.where(x > 0, x, p * torch.expm1(x / p)),
    ("softplus", "softplus of beta={}"): lambda x, p: torch.logaddexp(p * x, torch.zeros_like(x)) / p,
    ("silu-beta", "x * sigmoid({} x)"): lambda x, p: x * torch.sigmoid(p * x),
    ("squareplus", "(x + sqrt(x^2 + {})) / 2"): lambda x, p: (x + (x * x + p).sqrt()) / 2,
    ("shrink", "the soft shrinkage by {}"): lambda x, p: x.sign() * F.relu(x.abs() - p),
    ("slope", "sigmoid({} x)"): lambda x, p: torch.sigmoid(p * x),
    ("slope", "tanh({} x)"): lambda x, p: torch.tanh(p * x),
}
STARTS = tuple(2.0**power for power in range(-8, 8))
MOST_EXPRESSIONS = 6
MOST_HALVINGS = 12


def family_trials(run: Run, oracle: Sequence[np.ndarray], flax: Sequence[np.ndarray]) -> Iterator[FunctionTrial]:
    """Yields what the model computes with an activation of another constant, or of a kind that has one.

    run: computes with a choice among what lists alternatives; returns the pieces that are compared, and the mode
    """
    if sum(array.size for array in flax) < LEAST or [x.shape for x in oracle] != [x.shape for x in flax]:
        return
    try:
        _, seen = run(untouched, _of(1.0))
    except UNFIT:
        return
    for sites in _groups(seen.sites):
        for cause, text in sites[0].labels:
            chosen = frozenset((site.function, site.number) for site in sites)
            computed = partial(_computed, run, chosen, (cause, text))
            with suppress(*UNFIT):
                if constant := _fitted(computed, oracle, flax):
                    told = f"Flax computes {text.format(shown(constant))}, PyTorch {sites[0].function}"
                    yield cause, told, computed(constant), around(sites)


def _fitted(computed: Computed, oracle: Sequence[np.ndarray], flax: Sequence[np.ndarray]) -> float:
    """Returns the constant under which the model computes what Flax does; 0 where there is none, or are several."""
    left = lambda constant: distance(computed(constant), flax, oracle)  # noqa: E731
    start = min(STARTS, key=left)
    if left(start) > 1.001 * distance(oracle, flax, oracle):  # which may be of the constant to start with
        return 0.0
    low, high = start / 2, start * 2
    for _ in range(MOST_HALVINGS):
        third = (high / low) ** (1 / 3)
        low, high = (low, high / third) if left(low * third) < left(high / third) else (low * third, high)
    start = (low * high) ** 0.5
    of_start = lambda factor: computed(start * factor)  # noqa: E731
    factor = fitted(of_start, of_start(1.0), flax, aside=1 + 1e-4)
    if not factor or not is_sharp(of_start, factor, flax):
        return 0.0
    short = float(f"{start * factor:.3g}")  # a small gap tells few digits
    return short if left(short) <= left(start * factor) else start * factor


def _groups(sites: Sequence[Site]) -> Iterator[list[Site]]:
    """Yields all calls of one function together, then those of each expression in a submodule, as in a loop's turns."""
    for function in dict.fromkeys(site.function for site in sites):
        same = [site for site in sites if site.function == function]
        yield same
        expressions: dict[tuple, list[Site]] = {}
        for site in same:
            expressions.setdefault((site.place, site.turn), []).append(site)
        if len(expressions) > 1:
            yield from itertools.islice(expressions.values(), MOST_EXPRESSIONS)


def _computed(run: Run, chosen: frozenset, label: Label, constant: float) -> list[np.ndarray]:
    return run(lambda function, number: label if (function, number) in chosen else None, _of(constant))[0]


def _of(constant: float) -> Callable[[str, bool], Alternatives | None]:
    """Returns what lists the activations of this constant."""
    return lambda name, right: partial(_listed, constant) if name in ACTIVATIONS and not right else None


def _listed(constant: float, call: FunctionCall) -> Iterator[Alternative]:
    x: Any = call.x
    if call.elementwise:
        for (cause, text), function in FAMILIES.items():
            yield Alternative(cause, text, lambda function=function: function(x, constant))
