"""Search spaces: what a hyperparameter may be, and how it is drawn (book, 19.1 and 19.2)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from d2l_jax.errors import InputError


@dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform in [log low, log high].

    Raises InputError where the bounds are not finite, not above 0, or not in order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and 0 < self.low < self.high):
            raise InputError(f"{self} has no numbers in it; bounds with 0 < low < high are right")

    def __str__(self) -> str:
        return f"loguniform({self.low:g},{self.high:g})"

    def sample(self, random: np.random.Generator) -> float:
        """Draws a number."""
        drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)  # exp(log(x)) may be beyond x

    def holds(self, value: Any) -> bool:
        """Tells whether a value lies in the domain."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class RandInt:
    """A whole number that is uniform in [low, high), as SciPy's and NumPy's.

    Raises InputError where the bounds are no whole numbers, or not in order.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        whole = all(float(bound).is_integer() for bound in (self.low, self.high))
        if not whole or not -(2**63) <= self.low < self.high < 2**63:
            raise InputError(
                f"{self} has no numbers in it; whole bounds of 64 bits with low < high are right, high left out"
            )

    def __str__(self) -> str:
        return f"randint({self.low},{self.high})"

    def sample(self, random: np.random.Generator) -> int:
        """Draws a number."""
        return int(random.integers(self.low, self.high))

    def holds(self, value: Any) -> bool:
        """Tells whether a value lies in the domain."""
        return isinstance(value, int | float) and float(value).is_integer() and self.low <= value < self.high


@dataclass(frozen=True)
class Choice:
    """One of several options, each as likely; options that are given twice are refused by InputError, as are none."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) < len(self.options):
            raise InputError(f"{self} is no choice; one option or more, each of them once, is right")

    def __str__(self) -> str:
        return f"choice({','.join(map(str, self.options))})"

    def sample(self, random: np.random.Generator) -> Any:
        """Draws an option."""
        return self.options[int(random.integers(len(self.options)))]

    def holds(self, value: Any) -> bool:
        """Tells whether a value is one of the options."""
        return value in self.options


Domain = LogUniform | RandInt | Choice
Space = Mapping[str, Domain]
Config = dict[str, Any]


def sample(space: Space, seed: int, number: int) -> Config:
    """Draws configuration `number` of a study: the same whatever was drawn before it.

    Raises InputError for a space without hyperparameters.
    """
    if not space:
        raise InputError("the search space is empty; one hyperparameter at least is right, as lr=loguniform(0.01,1)")
    random = np.random.default_rng((seed, number))
    return {name: domain.sample(random) for name, domain in space.items()}


WRITTEN = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(loguniform|randint|choice)\((.*)\)\s*")
FORMS = "NAME=loguniform(low,high), NAME=randint(low,high) and NAME=choice(a,b,...) are right"


def space_of(texts: Sequence[str]) -> dict[str, Domain]:
    """Returns the space that texts such as "lr=loguniform(0.01,1)" describe; of a choice, numbers are numbers.

    Raises InputError for another form, for a name that is given twice, and for a domain without values.
    """
    space: dict[str, Domain] = {}
    for text in texts:
        match = WRITTEN.fullmatch(text)
        if not match:
            raise InputError(f"{text!r} is no hyperparameter; {FORMS}")
        name, kind, inside = match.groups()
        if name in space:
            raise InputError(f"{name} is twice in the search space; once is right")
        values = [value(part.strip()) for part in inside.split(",")] if inside.strip() else []
        if "" in values:
            raise InputError(f"{text!r} has nothing between two commas, or at an end; {FORMS}")
        space[name] = Choice(tuple(values)) if kind == "choice" else _interval(kind, values, text)
    return space


def _interval(kind: str, bounds: list[Any], text: str) -> LogUniform | RandInt:
    if len(bounds) != 2 or any(isinstance(bound, str) for bound in bounds):
        raise InputError(f"{text!r} has not two numbers as bounds; {FORMS}")
    low, high = bounds
    if kind == "loguniform":
        return LogUniform(float(low), float(high))
    if not (float(low).is_integer() and float(high).is_integer()):
        raise InputError(f"{text!r} has bounds that are not whole; whole numbers are right")
    return RandInt(int(low), int(high))


def value(text: str) -> Any:
    """Returns the number that a text is, whole or not, infinity of one too large; else the text itself."""
    for kind in (int, float):
        try:
            number = kind(text)
            float(number)
            return number
        except (ValueError, OverflowError):
            pass
    return text
