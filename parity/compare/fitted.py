"""Constants that are fitted: at which numbers, within a few of their last digits, do both sides agree?

Noise alone would excuse any gap of its size. A gap that constants explain is gone where they are moved, all of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from parity.arrays.key import Key, Phase, Record
from parity.compare.scale import scales_of

MOST_NUMBERS = 64
MOST_DIGITS = 16.0
ROUNDS = 4
SAMPLE = 4096  # numbers of a tensor
FINE = 1e-14  # of a tensor's scale, for which a constant is moved by a digit of float32
OUTPUTS = ("evaluation", "forward")
LEAST_NUMBERS = 12  # more than those that are fitted
NEARER = 10.0
SETTLED = 1e-10

Shift = Callable[[np.ndarray], np.ndarray]
Moved = Callable[[Shift], Record]
Both = tuple[Record, Record]


class Held(NamedTuple):
    """Runs of both sides with their constants moved; None where a side holds none.

    backward: the phases that tell of gradients, the clearest first
    """

    theirs: Moved | None = None
    ours: Moved | None = None
    backward: tuple[Phase, ...] = ("gradients",)

    def both(self, oracle: Record, flax: Record, shift: Shift) -> Both:
        """Returns both records with the constants moved, of the same tensors as they have."""
        a = self.theirs(shift) if self.theirs else {}
        b = self.ours(shift) if self.ours else {}
        return {key: a.get(key, x) for key, x in oracle.items()}, {key: b.get(key, x) for key, x in flax.items()}


@dataclass
class Fit:
    """The digits of float32 by which numbers are moved, from one step to the next.

    tried: a step has looked for them
    """

    digits: dict[float, float] = field(default_factory=dict)
    tried: bool = False

    def shift(self, array: np.ndarray) -> np.ndarray:
        """Returns the constant in float64, equal numbers moved equally."""
        if np.iscomplexobj(array):  # as the real numbers that it is made of
            return self.shift(np.ascontiguousarray(array).view(f"f{array.itemsize // 2}")).view(np.complex128)
        moved = array.astype(np.float64)
        held = array.astype(np.float32)
        for number, digits in self.digits.items():
            moved[...] = np.where(held == np.float32(number), moved + digits * _digit(number), moved)
        return moved


def fitted(oracle: Record, flax: Record, held: Held, fit: Fit) -> Iterator[Both] | None:
    """Returns records of both sides, ever nearer to each other; None where they hold too many numbers to be asked.

    Nor are several numbers that one side alone holds: the other may have a table that was made of them in float32.
    First outputs alone are brought together, then gradients as well; `fit` has the digits of the last ones.
    """
    numbers = list(fit.digits) if fit.tried else _numbers(held)
    most = MOST_NUMBERS if held.theirs and held.ours else 1
    return _nearer(oracle, flax, held, fit, numbers) if len(numbers) <= most else None


def _nearer(oracle: Record, flax: Record, held: Held, fit: Fit, numbers: list[float]) -> Iterator[Both]:
    if fit.tried:
        yield held.both(oracle, flax, fit.shift)
        return
    fit.tried = True
    sample = _Sample.of(oracle, flax, held.backward)
    apart = sample.apart(oracle, flax)
    moved = (held.both(oracle, flax, Fit({number: 1.0}).shift) for number in numbers)
    columns = np.stack([sample.apart(*each) - apart for each in moved], axis=1)
    for chosen in sample.stages():
        digits, gap = np.zeros(len(numbers)), apart
        for _ in range(ROUNDS):
            digits = np.clip(digits - _least(columns[chosen], gap[chosen]), -MOST_DIGITS, MOST_DIGITS)
            fit.digits = dict(zip(numbers, digits.tolist(), strict=True))
            both = held.both(oracle, flax, fit.shift)
            before, gap = gap, sample.apart(*both)
            yield both
            if not np.linalg.norm(gap[chosen]) < np.linalg.norm(before[chosen]) / 2:
                break


def is_of_another(oracle: Record, flax: Record, held: Held, others: Iterable[Record]) -> bool:
    """Tells whether PyTorch with another number, as an epsilon, is by far nearer to Flax than with its own.

    Nearer is what is left where the digits of what is held are taken out, as far as a few numbers are held: of
    rounding alone, no other number leaves less.

    others: PyTorch's records with another number each
    """
    sample = _Sample.of(oracle, flax, ())
    apart = sample.apart(oracle, flax)
    numbers = _numbers(held)
    if apart.size < LEAST_NUMBERS + len(numbers) or len(numbers) > MOST_NUMBERS:
        return False
    moved = (held.both(oracle, flax, Fit({number: 1.0}).shift) for number in numbers)
    columns = np.stack([sample.apart(*each) - apart for each in moved], axis=1)

    def left(gap: np.ndarray) -> float:
        return float(np.linalg.norm(gap - columns @ _least(columns, gap)))

    now = left(apart)
    explained = now <= SETTLED * np.sqrt(apart.size)  # by digits alone
    return not explained and any(left(sample.apart(oracle | other, flax)) < now / NEARER for other in others)


@dataclass(frozen=True)
class _Sample:
    """Numbers of the tensors that constants move smoothly, one below the other."""

    scales: dict[Key, float]
    sizes: dict[Key, int]

    @classmethod
    def of(cls, oracle: Record, flax: Record, backward: tuple[Phase, ...]) -> "_Sample":
        common = [key for key in oracle if key in flax and np.shape(oracle[key]) == np.shape(flax[key])]
        phases = {key.phase for key in common}
        clearest = [phase for phase in backward if phase in phases][:1]
        smooth = [key for key in common if key.phase in (*OUTPUTS, *clearest) and not key.is_measure]
        scales = scales_of(oracle)
        sizes = {key: len(_some(oracle[key])) for key in smooth if oracle[key].dtype.kind == "f"}
        return cls({key: scales[key][0] for key in sizes}, sizes)

    def apart(self, oracle: Record, flax: Record) -> np.ndarray:
        """Returns how far the tensors are apart, each relative to its scale."""
        gaps = [(_some(flax[key]) - _some(oracle[key])) / scale for key, scale in self.scales.items()]
        return np.concatenate([np.nan_to_num(gap) for gap in gaps] or [np.zeros(0)])

    def stages(self) -> Iterator[np.ndarray]:
        """Yields which of the numbers are outputs, then all."""
        outputs = [np.full(size, key.phase in OUTPUTS) for key, size in self.sizes.items()]
        yield np.concatenate(outputs or [np.zeros(0, bool)])
        yield np.ones(sum(self.sizes.values()), bool)


def _some(array: np.ndarray) -> np.ndarray:
    flat = np.asarray(array, np.float64).ravel()
    return flat[:: max(1, flat.size // SAMPLE)]


def _least(columns: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Returns the digits that explain most of the gap, the fewest where it leaves them open."""
    open_ones = FINE * np.eye(columns.shape[1])
    return np.linalg.lstsq(np.vstack([columns, open_ones]), np.concatenate([gap, open_ones[0] * 0]), rcond=None)[0]


def _numbers(held: Held) -> list[float]:
    """Returns the numbers that both sides hold, each once."""
    found: set[float] = set()

    def look(array: np.ndarray) -> np.ndarray:
        parts = np.ascontiguousarray(array).view(f"f{array.itemsize // 2}") if np.iscomplexobj(array) else array
        found.update(np.unique(parts.astype(np.float32)).tolist())
        return array

    for run in filter(None, (held.theirs, held.ours)):
        run(look)
    return sorted(number for number in found if number and np.isfinite(number))


def _digit(number: float) -> float:
    return float(np.spacing(np.abs(np.float32(number))))
