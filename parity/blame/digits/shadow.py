"""A program of float32, computed equation by equation beside what float64 makes of each."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from parity.blame.diagnosis.cause import rms
from parity.models.programs import called, computed

AGAIN = 4.0  # times the error of what an equation is given
SAME = ("convert_element_type",)  # float64 has no use for some of them
Signature = tuple[str, tuple[tuple[int, ...], ...]]


class Steps:
    """Runs functions equation by equation, as `jax.jit` stands in their place."""

    def __call__(self, function: Callable, device: Any = None) -> Callable:
        """Returns the function so run."""

        def run(*args: Any) -> Any:
            program, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
            flat = computed(program.jaxpr, program.consts, jax.tree.leaves(args), self.heard)
            return jax.tree.unflatten(jax.tree.structure(shapes), flat)

        return run

    def heard(self, equation: Any, given: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
        """Hears of an equation, and returns its results, or others."""
        raise NotImplementedError


class Exact(Steps):
    """Keeps what every equation gives in float64."""

    def __init__(self, keeps: bool = True):
        self.keeps = keeps
        self.signatures: list[Signature] = []
        self.results: list[list[np.ndarray]] = []

    def heard(self, equation: Any, given: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
        if equation.primitive.name not in SAME:
            self.signatures.append((equation.primitive.name, tuple(np.shape(x) for x in results)))
            if self.keeps:
                self.results.append([_number(x) for x in results])
        return results

    def beside(self, signatures: Sequence[Signature]) -> dict[int, list[np.ndarray]]:
        """Returns, by its number, the exact results of each equation of another program that is one of these."""
        if list(signatures) == self.signatures:
            return dict(enumerate(self.results))
        blocks = difflib.SequenceMatcher(None, signatures, self.signatures, autojunk=False).get_matching_blocks()
        return {a + n: self.results[b + n] for a, b, size in blocks for n in range(size)}


class Known(NamedTuple):
    """An array of float32, what it would be exactly, and how far it is from that; which equation made it of what."""

    array: Any
    exact: np.ndarray
    error: float = 0.0
    primitive: str = ""
    given: tuple["Known", ...] = ()
    params: Mapping[str, Any] = {}  # noqa: RUF012


class Lossy(NamedTuple):
    """An equation whose results are much further from the exact ones than what it is given is."""

    number: int
    equation: Any
    given: tuple[Known, ...]
    result: Known


class Low(Steps):
    """Computes in float32, with the exact results in the place of those of some equations.

    exact:    by number
    replaced: numbers of equations
    floor:    an error that is rounding
    lossy:    those that lose digits, in the program's order
    """

    def __init__(self, exact: Mapping[int, list[np.ndarray]], replaced: frozenset[int], floor: float):
        self.exact = exact
        self.replaced = replaced
        self.floor = floor
        self.lossy: list[Lossy] = []
        self.overflow: Lossy | None = None
        self._known: dict[int, Known] = {}
        self._count = 0

    def heard(self, equation: Any, given: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
        known = tuple(self._known.get(id(x)) or Known(x, _number(x)) for x in given)
        if equation.primitive.name in SAME:
            return self._passed(known, results)
        number = self._count
        self._count += 1
        exact = self.exact.get(number)
        if exact is None:
            return self._passed(known, results)
        if number in self.replaced:
            results = [_as(x, like) for x, like in zip(exact, results, strict=True)]
        name = equation.primitive.name
        made = [Known(x, e, error_of(x, e), name, known, equation.params) for x, e in zip(results, exact, strict=True)]
        self._known |= {id(each.array): each for each in made}
        if called(equation) is None and name != "scan":
            self._judge(number, equation, known, max(made, key=lambda each: each.error, default=None))
        return results

    def _judge(self, number: int, equation: Any, given: tuple[Known, ...], worst: Known | None) -> None:
        if worst is None:
            return
        each = Lossy(number, equation, given, worst)
        if self.overflow is None and not is_finite(worst) and all(map(is_finite, given)):
            self.overflow = each
        if number not in self.replaced and worst.error > AGAIN * max((x.error for x in given), default=0) + self.floor:
            self.lossy.append(each)

    def _passed(self, given: tuple[Known, ...], results: Sequence[Any]) -> Sequence[Any]:
        """Hands on what is known of a number to a copy of it."""
        worst = max(given, key=lambda each: each.error, default=None)
        for x in results:
            if worst is not None and np.shape(x) == np.shape(worst.array):
                self._known[id(x)] = worst._replace(array=x)
        return results


def error_of(array: Any, exact: np.ndarray) -> float:
    """Returns how far numbers are from the exact ones, relative to these; what float32 holds as infinite is right."""
    if not np.issubdtype(exact.dtype, np.floating) or not exact.size:
        return 0.0
    low = _number(array)
    with np.errstate(over="ignore", invalid="ignore"):
        held = exact.astype(np.float32).astype(np.float64)
        gap = np.where((low == held) | (np.isnan(low) & np.isnan(held)), 0.0, low - exact)
    return rms(gap) / (rms(exact) or 1.0) if np.all(np.isfinite(gap)) else np.inf


def is_finite(known: Known) -> bool:
    """Tells whether all numbers in float32 are finite."""
    return not np.issubdtype(known.exact.dtype, np.floating) or bool(np.all(np.isfinite(_number(known.array))))


def _as(exact: np.ndarray, like: Any) -> jax.Array:
    with np.errstate(over="ignore"):
        return jax.numpy.asarray(exact.astype(like.dtype))


def _number(x: Any) -> np.ndarray:
    """Returns an array of JAX's; numbers of low precision in float64, keys of random numbers as nothing."""
    if jax.numpy.issubdtype(getattr(x, "dtype", float), jax.dtypes.extended):
        return np.zeros(0)
    array = np.asarray(x)
    return array.astype(np.float64) if jax.numpy.issubdtype(array.dtype, np.floating) else array
