"""Which number of Flax's is which of PyTorch's, told by slopes, where no shape tells.

Numbers of the two models that may be each other's are given equal values; then what the models put out agrees, whatever
belongs to what, and so do the slopes of it: numbers whose slopes differ are different ones. They get different values,
which tells more of the others, until all are told apart, or nothing more is. Then units that can be exchanged, as those
of a hidden layer, are left, and one of them is chosen. (The method is that by which graphs are matched: colour
refinement, and individualisation.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

ROUNDS = 400
IDLE = 2  # rounds that tell nothing, until one number is chosen
NEAR = 1e-6  # of the largest slope of numbers that are not told apart
ROUNDING = 1e-12  # of the largest slope of all
SAME = 1e-6  # of what both models put out
MORE = 300  # times what they differ by, of slopes

Values = Float[np.ndarray, "numbers"]
# Values of the numbers and what the outputs are weighed by: the outputs, and the slopes.
Slopes = Callable[[Values, int], tuple[Float[np.ndarray, "outputs"], Values]]


class Different(Exception):
    """The two models differ where equal numbers stand everywhere: no order makes them one."""


@dataclass
class Side:
    """A model as a function of some of its numbers.

    slopes: (values, round) -> outputs, slopes of their weighed sum
    parts:  numbers that are added up, wherever they are used, have the same part
    """

    slopes: Slopes
    parts: Int[np.ndarray, "numbers"]

    @property
    def count(self) -> int:
        return int(self.parts.max(initial=-1)) + 1

    def run(self, values: Float[np.ndarray, "parts"], number: int) -> tuple[np.ndarray, Float[np.ndarray, "parts"]]:
        """Returns the outputs, and the slopes along each part, which has this value in all."""
        sizes = np.bincount(self.parts, minlength=self.count)
        outputs, slopes = self.slopes((values / sizes)[self.parts], number)
        return outputs, np.bincount(self.parts, slopes, self.count) / sizes


def counterparts(torch: Side, flax: Side) -> Int[np.ndarray, "parts"]:
    """Returns the number of PyTorch's part that each of Flax's is. Raises Different if there is none."""
    if torch.count != flax.count:
        raise Different
    search = _Search(torch, flax)
    while search.several().size:
        search.refine()
        colours = search.several()
        if not colours.size:
            break
        search.choose(colours)
    return search.order()


class _Search:
    def __init__(self, torch: Side, flax: Side):
        self.sides = torch, flax
        self.colours = np.zeros(torch.count, int), np.zeros(flax.count, int)
        self.random = np.random.default_rng(0)
        self.steep = np.zeros(1)
        self.chosen = np.zeros(0, int)  # the rest of what one was chosen of
        self.digits = 0.0  # that outputs differ by: tables of one side may be those of float32
        self.round = 0

    def several(self) -> Int[np.ndarray, "colours"]:
        """Returns the colours of more than one part."""
        return np.flatnonzero(np.bincount(self.colours[0]) > 1)

    def order(self) -> Int[np.ndarray, "parts"]:
        return np.argsort(self.colours[0], kind="stable")[self.colours[1]]

    def refine(self) -> None:
        idle = 0
        while idle < IDLE and self.several().size:
            before = self.colours[0].max()
            self._split()
            idle = 0 if self.colours[0].max() > before else idle + 1

    def choose(self, colours: Int[np.ndarray, "colours"]) -> None:
        """Takes the first part of both sides for each other; where one was taken, and the rest are alike, all."""
        rest = np.unique(self.colours[0][self.chosen])
        if len(rest) == 1 and len(self.chosen) > 1:
            self._apart(int(rest[0]), len(self.chosen))
            self.chosen = self.chosen[:0]
            return
        sizes = np.bincount(self.colours[0])[colours]
        flat = self.steep[colours] == 0
        colour = int(colours[np.lexsort((sizes, flat))[0]])
        places = np.flatnonzero(self.colours[0] == colour)
        if flat.all():
            self._apart(colour, len(places))
            return
        self._apart(colour, 1)
        self.chosen = places[1:]

    def _apart(self, colour: int, count: int) -> None:
        for colours in self.colours:
            places = np.flatnonzero(colours == colour)[:count]
            free = colours.max() + 1
            colours[places] = free + np.arange(len(places))
        self._renumber()

    def _renumber(self) -> None:
        _, joint = np.unique(np.concatenate(self.colours), return_inverse=True)
        self.colours = tuple(np.split(joint, [len(self.colours[0])]))

    def _split(self) -> None:
        if self.round == ROUNDS:
            raise Different
        self.round += 1
        count = self.colours[0].max() + 1
        values = 0.15 * self.random.uniform(0.3, 1, count) * self.random.choice([-1, 1], count)
        runs = [side.run(values[colours], self.round) for side, colours in zip(self.sides, self.colours, strict=True)]
        (ours, slopes), (theirs, others) = runs
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.max(np.abs(ours - theirs), initial=0) / (np.sqrt(np.mean(np.square(ours))) or 1)
            if not gap <= SAME:
                raise Different
        self.digits = max(self.digits, gap)
        joint = np.concatenate([slopes, others])
        if not np.isfinite(joint).all():
            return
        colours = np.concatenate(self.colours)
        order = np.lexsort((joint, colours))
        joint, sorted_colours = joint[order], colours[order]
        steep = np.zeros(count)
        np.maximum.at(steep, sorted_colours, np.abs(joint))
        limits = np.maximum(NEAR * steep, (ROUNDING + MORE * self.digits) * steep.max())
        new = (np.diff(joint) > limits[sorted_colours[1:]]) | (np.diff(sorted_colours) > 0)
        found = np.empty(len(order), int)
        found[order] = np.concatenate([[0], np.cumsum(new)])
        split = np.split(found, [len(slopes)])
        counts = [np.bincount(colours, minlength=found.max() + 1) for colours in split]
        if not np.array_equal(counts[0], counts[1]):
            raise Different
        self.steep = np.zeros(found.max() + 1)
        big = np.where(steep > ROUNDING * steep.max(), steep, 0)
        self.steep[found[order]] = np.where(np.abs(joint) > limits[sorted_colours], big[sorted_colours], 0)
        self.colours = tuple(split)


def added_up(slopes: Slopes, count: int) -> Int[np.ndarray, "numbers"]:
    """Returns which numbers are always added up, as two biases are: those of equal slopes, whatever they are."""
    random = np.random.default_rng(1)
    found = np.stack([slopes(0.3 * random.normal(size=count), -number)[1] for number in (1, 2)], 1)
    order = np.lexsort(found.T)
    least = ROUNDING * np.abs(found).max(initial=0)
    before, behind = found[order[:-1]], found[order[1:]]
    same = np.all((np.abs(before - behind) <= 1e-9 * np.abs(behind)) & (np.abs(behind) > least), 1)
    parts = np.empty(count, int)
    parts[order] = np.concatenate([[0], np.cumsum(~same)])
    _, firsts, inverse = np.unique(parts, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[inverse]  # in the order of their first numbers
