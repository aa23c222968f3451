"""Numbers by which one framework's result is often larger than the other's, each with its reason."""

import itertools
import math
from collections.abc import Iterator

VARIANCES = ("unbiased", "biased")
DROPOUT_RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)


def factors(shape: tuple[int, ...]) -> Iterator[tuple[str, str, float]]:
    """Lists (name, reason, value) of every telling factor for a tensor of this shape; the simplest first."""
    yield "sign", "the opposite sign", -1.0
    for name, reason, value in _positive(shape):
        yield name, reason, value
    for name, reason, value in _positive(shape):
        yield name, f"{reason}, with the opposite sign", -value


def _positive(shape: tuple[int, ...]) -> Iterator[tuple[str, str, float]]:
    yield "half", "a half", 0.5
    yield "double", "two", 2.0
    yield from _lengths(shape)
    yield from _variances(shape)
    for p in DROPOUT_RATES:
        yield "dropout-scale", f"1 / (1 - {p:g}), dropout's factor", 1 / (1 - p)
        yield "dropout-scale", f"1 - {p:g}, dropout's factor left out", 1 - p
    for axis, length in enumerate(shape):
        yield "sqrt", f"the root of the length of axis {axis}, {length}", math.sqrt(length)
        yield "sqrt", f"one over the root of the length of axis {axis}, {length}", 1 / math.sqrt(length)
    yield from _constants()


def _lengths(shape: tuple[int, ...]) -> Iterator[tuple[str, str, float]]:
    """A sum in place of a mean, or the other way round."""
    for count in range(1, len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            number = math.prod(shape[axis] for axis in axes)
            name = "size" if count == len(shape) else "axis-length"
            what = "the number of entries" if name == "size" else f"the length of axis {', '.join(map(str, axes))}"
            if number > 1:
                yield name, f"{what}, {number}: a sum against a mean", float(number)
                yield name, f"one over {what}, {number}: a mean against a sum", 1 / number


def _variances(shape: tuple[int, ...]) -> Iterator[tuple[str, str, float]]:
    """Unbiased against biased variance over one axis, several, or all."""
    for count in range(1, len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            n = math.prod(shape[axis] for axis in axes)
            if n > 1:
                yield "unbiased", f"n / (n - 1) for n = {n}: an unbiased variance against a biased one", n / (n - 1)
                yield "biased", f"(n - 1) / n for n = {n}: a biased variance against an unbiased one", (n - 1) / n


def _constants() -> Iterator[tuple[str, str, float]]:
    for number in (255, 256, 127.5):
        yield "pixel-range", f"{number:g}, the range of pixels", number
        yield "pixel-range", f"one over {number:g}, the range of pixels", 1 / number
    yield "log-base", "ln 2: logarithms to base 2 against natural ones", math.log(2)
    yield "log-base", "1 / ln 2: natural logarithms against base 2", 1 / math.log(2)
    yield "log-base", "ln 10: logarithms to base 10 against natural ones", math.log(10)
    yield "log-base", "1 / ln 10: natural logarithms against base 10", 1 / math.log(10)
    for power in (1, 2, 3, 4):
        yield "power-of-ten", f"10^{power}", 10.0**power
        yield "power-of-ten", f"10^-{power}", 10.0**-power
    for number in (3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 128):
        yield "small-factor", f"{number}", float(number)
        yield "small-factor", f"1/{number}", 1 / number


def telling(factor: float, shape: tuple[int, ...], tolerance: float = 1e-9) -> tuple[str, str, float] | None:
    """The name of a factor, the reasons that fit it, and its exact value; None where no reason does.

    A quotient of variances that is a plain number as well, as 40 / 39 is 1 / 0.975, is a factor that has no name.
    """
    near = ((*known, abs(factor - known[2])) for known in factors(shape) if known[2] != 1)
    hits = [(name, reason, value) for name, reason, value, gap in near if gap <= tolerance * abs(value)]
    if not hits:
        return None
    name, _, value = hits[0]
    reasons = list(dict.fromkeys(reason for _, reason, _ in hits))[:3]
    if name in VARIANCES and (number := plain(value)):
        return "scale", "; or ".join([*reasons[:2], f"the plain number {number}"]), value
    return name, "; or ".join(reasons), value


def plain(factor: float, digits: int = 3) -> str:
    """Returns a number, or 1 over one, that has few digits as people write them; "" where it has more."""
    for text, number in (("{}", factor), ("1 / {}", 1 / factor)):
        if abs(float(f"{number:.{digits}g}") - number) <= 1e-9 * abs(number):
            return text.format(f"{number:.{digits}g}")
    return ""
