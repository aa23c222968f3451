"""The result of a diagnosis, and the one rule by which a hypothesis explains a difference."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Pieces = Sequence[np.ndarray]
FLOAT32 = 2e-7  # what rounding to it leaves
NOISE = 1e-12  # what float64 makes of a layer's rounding, relative to the result
GUESSES = ("momentum", "learning-rate", "gradient-scale", "step-scale")  # of an update: another one has to confirm them
CERTAIN = ("momentum-schedule",)  # whose first update alone may be taken for another rate
STILL = "step-missing"  # a guess that any other replaces


@dataclass(frozen=True)
class Cause:
    """A reason why Flax differs from PyTorch.

    name:     short stable id in kebab case; two causes at once are joined by "+"
    text:     one line for people
    residual: what remains unexplained: max |flax - explained| / rms(oracle)
    part:     the submodule of the module in question that it lies in; "" is the module itself
    """

    name: str
    text: str
    residual: float
    part: str = ""


def choose(
    oracle: Pieces,
    flax: Pieces,
    candidates: Iterable[tuple[Any, ...]],
    noise: float = NOISE,
) -> Cause | None:
    """The candidate that explains with the smallest residual; among those within the noise, the first.

    oracle, flax: what was computed, as one or more arrays
    candidates:   (name, text, the arrays under this hypothesis or a function that returns them), the simplest first;
                  or with the part of the module as a fourth
    """
    unexplained = distance(oracle, flax, oracle)
    floor = max(10 * noise, 1e-11)
    best = None
    for name, text, explained, *part in candidates:
        pieces: Any = explained() if callable(explained) else explained
        residual = distance(pieces, flax, oracle)
        if not explains(residual, unexplained, noise):
            continue
        if residual <= floor:
            return Cause(name, text, residual, *part)
        if best is None or residual < best.residual:
            best = Cause(name, text, residual, *part)
    return best


def confirmed(causes: Iterable[Cause | None], strict: bool = False) -> Cause | None:
    """Returns the cause that the first of several updates shows, or a later one.

    Adam's first step hides its decays, the first step with Nesterov's momentum is one with another rate, and a
    schedule that is late may begin with a step of 0.

    strict: a guess falls where a later update is wrong, too, and nothing explains it
    """
    guess = None
    for cause in causes:
        if cause is None:
            guess = None if strict and guess and guess.name != STILL else guess
            continue
        if guess and guess.name == cause.name != STILL:
            return guess
        if cause.name in CERTAIN or not cause.name.startswith((*GUESSES, STILL)):
            return cause
        guess = cause if guess is None or guess.name == STILL else guess
    return guess


def agree(oracle: Pieces, flax: Pieces, noise: float) -> bool:
    """Tells if there is nothing to explain."""
    return distance(oracle, flax, oracle) <= 100 * noise


def explains(residual: float, unexplained: float, noise: float) -> bool:
    """Tells if the residual is near the noise and far below the gap without the hypothesis.

    Or a millionth of the gap and no more than a digit of float32, which tables and casts within a model leave.
    """
    near = residual <= max(1e3 * noise, 1e-9) and residual <= 1e-3 * unexplained
    return near or residual <= min(FLOAT32, 1e-6 * unexplained)


def distance(explained: Pieces, flax: Pieces, oracle: Pieces) -> float:
    """The largest difference of any piece, relative to the piece's scale; infinite where shapes differ."""
    if len(explained) != len(flax):
        return math.inf
    scales = [rms(piece) for piece in oracle]
    return max((_gap(*three) for three in zip(explained, flax, _settled(scales, flax))), default=0.0)


def _settled(scales: list[float], flax: Pieces) -> list[float]:
    """Scales; a piece that is zero in exact arithmetic is measured against the largest of the others."""
    largest = max(scales, default=0.0) or max(map(rms, flax), default=0.0) or 1.0
    return [scale if scale > 1e-13 * largest else largest for scale in scales]


def _gap(explained: np.ndarray, flax: np.ndarray, scale: float) -> float:
    if explained.shape != flax.shape:
        return math.inf
    if not flax.size:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(explained - flax)
    same = (explained == flax) | (np.isnan(explained) & np.isnan(flax))
    difference = np.where(same, 0.0, difference)
    return float(np.max(difference)) / scale if np.all(np.isfinite(difference)) else math.inf


def rms(array: np.ndarray) -> float:
    """The root mean square of the finite values."""
    finite = array[np.isfinite(array)]
    largest = float(np.max(np.abs(finite), initial=0.0))
    return largest * float(np.sqrt(np.mean(np.square(finite / largest)))) if largest else 0.0
