"""How probable it is that two samples come from one distribution, without assuming which.

Only bounds that hold for every distribution, and one for the width that supposes tails no heavier than the sample's:
a limit of 1e-9 then never turns a verdict by chance.
"""

import math

import numpy as np
from scipy.special import betainc

TESTS = 5
MOST = 20_000  # numbers of either sample: they tell 2 % of a width


def log_chance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns log10 of (a bound of) the probability that samples of one distribution differ as much as these do."""
    a = part(a)
    b = part(b)
    from_zero = np.abs(a), np.abs(b)
    logs = (_steps(a, b), _steps(*from_zero), _beyond(*from_zero), _beyond(*from_zero[::-1]), _width(a, b))
    return min(0.0, (min(logs) + math.log(TESTS)) / math.log(10))


def part(a: np.ndarray) -> np.ndarray:
    """Returns the numbers, or some of very many."""
    return a if a.size <= MOST else np.random.default_rng(0).choice(a, MOST)


def _steps(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the logarithm of the bound for the largest distance of the two distribution functions."""
    every = np.sort(np.concatenate([a, b]))
    parts = [np.searchsorted(np.sort(x), every, side="right") / x.size for x in (a, b)]
    distance = float(np.max(np.abs(parts[0] - parts[1])))
    return math.log(2) - 2 * distance**2 * a.size * b.size / (a.size + b.size)


def _beyond(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the logarithm of the probability that so many of `a` exceed all of `b` (Rosenbaum 1954)."""
    beyond = int(np.sum(a > np.max(b)))
    return beyond * math.log(a.size / (a.size + b.size))


def _width(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the logarithm of the two-sided probability of the ratio of variances (F), for tails as heavy as these."""
    variances = [float(np.var(x)) for x in (a, b)]
    if min(a.size, b.size) < 20 or not min(variances):
        return 0.0
    tails = max(3.0, *(float(np.mean(((x - x.mean()) / x.std()) ** 4)) for x in (a, b)))
    first, second = (2 * (x.size - 1) / (tails - 1) for x in (a, b))
    ratio = variances[0] / variances[1]
    below = betainc(first / 2, second / 2, first * ratio / (first * ratio + second))
    above = betainc(second / 2, first / 2, second / (first * ratio + second))
    return math.log(max(2 * min(below, above), 1e-300))
