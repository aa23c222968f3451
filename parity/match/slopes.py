"""Which number of Flax's is which of PyTorch's, told by slopes, where no shape tells.

Numbers of the two models that may be each other's are given equal values; then what the models put out agrees, whatever
belongs to what, and so do the slopes of it: numbers whose slopes differ are different ones. They get different values,
which tells more of the others, until all are told apart, or nothing more is. Then units that can be exchanged, as those
of a hidden layer, are left, and one of them is chosen. (The method is that by which graphs are matched: colour
refinement, and individualisation.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDS = 400
SIZES = 0.045, 0.15  # of the values that colours are given
IDLE = 2  # rounds that tell nothing, until one number is chosen
NEAR = 1e-6  # of the largest slope of numbers that are not told apart
ROUNDING = 1e-12  # of the largest slope of all
SAME = 1e-6  # of what both models put out
CHOSEN = 1e-11  # of that, where parts were chosen
TURNS = 60  # choices that are made anew
MORE = 300  # times what they differ by, of slopes

Values = Float[np.ndarray, "numbers"]
# Values of the numbers and what the outputs are weighed by: the outputs, and the slopes.
Slopes = Callable[[Values, int], tuple[Float[np.ndarray, "outputs"], Values]]


class Different(Exception):
    """The two models differ where equal numbers stand everywhere: no order makes them one."""

    keys: tuple[str, ...] = ()


class Disordered(Different):
    """The two models are one in an order of numbers that is none of those in which they may be kept.

    keys: of the tensors whose numbers stand so, as far as is known
    """

    def __init__(self, keys: Sequence[str] = ()):
        super().__init__()
        self.keys = tuple(keys)


class Unasked(Exception):
    """Slopes cannot be asked about these models, or have not told enough."""


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
        """Returns how many parts there are."""
        return int(self.parts.max(initial=-1)) + 1

    def run(self, values: Float[np.ndarray, "parts"], number: int) -> tuple[np.ndarray, Float[np.ndarray, "parts"]]:
        """Returns the outputs, and the slopes along each part, which has this value in all."""
        sizes = np.bincount(self.parts, minlength=self.count)
        outputs, slopes = self.slopes((values / sizes)[self.parts], number)
        return outputs, np.bincount(self.parts, slopes, self.count) / sizes


def counterparts(torch: Side, flax: Side) -> tuple[Int[np.ndarray, "parts"], Bool[np.ndarray, "parts"]]:
    """Returns the number of PyTorch's part that each of Flax's is, and which of PyTorch's have no slope.

    Those have the order in which they stand. Raises Different if there is none, Unasked if that is not known in time.
    """
    if torch.count != flax.count:
        raise Different
    search = _Search(torch, flax)
    while True:
        try:
            search.refine()
        except Different:
            if not search.turned():
                raise
            continue
        if not search.several().size:
            return search.order(), search.idle
        search.choose()


class _Search:
    """Two sides, and what is known of their parts: those of one colour may be each other's."""

    def __init__(self, torch: Side, flax: Side):
        self.sides = torch, flax
        self.colours = np.zeros(torch.count, int), np.zeros(flax.count, int)
        self.random = np.random.default_rng(0)
        self.sloping = np.zeros(1, bool)  # which colours have a slope
        self.idle = np.zeros(torch.count, bool)  # which of PyTorch's parts have none
        self.chosen = np.zeros(0, int)  # the rest of what one was chosen of
        self.digits = 0.0  # that outputs differ by: tables of one side may be those of float32
        self.round = 0
        self.choices: list[tuple[tuple, int, int]] = []  # (what was known, which of Flax's was taken, of how many)
        self.turns = 0

    def several(self) -> Int[np.ndarray, "colours"]:
        """Returns the colours of more than one part."""
        return np.flatnonzero(np.bincount(self.colours[0]) > 1)

    def order(self) -> Int[np.ndarray, "parts"]:
        """Returns the number of PyTorch's part that each of Flax's is."""
        return np.argsort(self.colours[0], kind="stable")[self.colours[1]]

    def refine(self) -> None:
        """Tells parts apart until nothing more tells any. Raises Different if the two sides then differ."""
        idle = 0
        while idle < IDLE and self.several().size:
            before = self.colours[0].max()
            self._split()
            idle = 0 if self.colours[0].max() > before else idle + 1

    def choose(self) -> None:
        """Takes one part of both sides for each other, of which there are several that nothing tells apart."""
        known = tuple(each.copy() for each in self.colours), self.chosen, self.sloping, self.idle.copy()
        self.choices.append((known, 0, self._choose(0)))

    def turned(self) -> bool:
        """Takes another of Flax's parts, where there is one, for what was chosen last, and tells whether there was.

        A gate and its values are alike as long as both have one value, and are not each other's for all that.
        """
        while self.choices and self.turns < TURNS:
            known, turn, several = self.choices.pop()
            if turn + 1 < several:
                self.turns += 1
                colours, self.chosen, self.sloping, idle = known
                self.colours, self.idle = tuple(each.copy() for each in colours), idle.copy()
                self.choices.append((known, turn + 1, self._choose(turn + 1)))
                return True
        return False

    def _choose(self, turn: int) -> int:
        """Takes the first part of PyTorch's for one of Flax's, and returns of how many; one where there is no choice.

        Where one was taken, and the rest are alike, all are taken as they stand; so are those without a slope.
        """
        colours = self.several()
        rest = np.unique(self.colours[0][self.chosen])
        if len(rest) == 1 and len(self.chosen) > 1:
            self._apart(int(rest[0]), len(self.chosen))
            self.chosen = self.chosen[:0]
            return 1
        sizes = np.bincount(self.colours[0])[colours]
        flat = ~self.sloping[colours]
        colour = int(colours[np.lexsort((sizes, flat))[0]])
        places = np.flatnonzero(self.colours[0] == colour)
        if flat.all():
            self.idle[places] = True
            self._apart(colour, len(places))
            return 1
        self._apart(colour, 1, turn)
        self.chosen = places[1:]
        return len(places)

    def _apart(self, colour: int, count: int, turn: int = 0) -> None:
        """Gives parts of a colour, on both sides, colours of their own, in the order in which they stand.

        turn: the first of Flax's that is taken
        """
        for colours, first in zip(self.colours, (0, turn), strict=True):
            places = np.flatnonzero(colours == colour)[first : first + count]
            free = colours.max() + 1
            colours[places] = free + np.arange(len(places))
        self._renumber()

    def _renumber(self) -> None:
        _, joint = np.unique(np.concatenate(self.colours), return_inverse=True)
        self.colours = tuple(np.split(joint, [len(self.colours[0])]))

    def _split(self) -> None:
        """Gives every colour a value, and parts of other slopes another colour. Raises Different if sides differ."""
        if self.round == ROUNDS:
            raise Unasked
        self.round += 1
        count = self.colours[0].max() + 1
        values = self.random.uniform(*SIZES, count) * self.random.choice([-1, 1], count)
        (theirs, along_theirs), (ours, along_ours) = (
            side.run(values[colours], self.round) for side, colours in zip(self.sides, self.colours, strict=True)
        )
        self._compare(theirs, ours)
        if np.isfinite(along_theirs).all() and np.isfinite(along_ours).all():
            self._colour(along_theirs, along_ours)

    def _compare(self, theirs: np.ndarray, ours: np.ndarray) -> None:
        """Notes by how many digits outputs differ. Raises Different if these are other outputs."""
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.max(np.abs(theirs - ours), initial=0) / (np.sqrt(np.mean(np.square(theirs))) or 1)
        if not gap <= (min(SAME, CHOSEN + MORE * self.digits) if self.choices else SAME):
            raise Different
        self.digits = max(self.digits, gap)

    def _colour(self, theirs: Values, ours: Values) -> None:
        """Tells parts of a colour apart by their slopes. Raises Different if these are not as many on both sides."""
        colours = np.concatenate(self.colours)
        slopes = np.concatenate([theirs, ours])
        order = np.lexsort((slopes, colours))
        slopes, colours = slopes[order], colours[order]
        steep = np.zeros(colours[-1] + 1)  # the largest slope of each colour
        np.maximum.at(steep, colours, np.abs(slopes))
        limits = np.maximum(NEAR * steep, (ROUNDING + MORE * self.digits) * steep.max())[colours]
        apart = (np.diff(slopes) > limits[1:]) | (np.diff(colours) > 0)
        found = np.empty(len(order), int)
        found[order] = np.concatenate([[0], np.cumsum(apart)])
        sides = np.split(found, [len(theirs)])
        counts = [np.bincount(each, minlength=found.max() + 1) for each in sides]
        if not np.array_equal(counts[0], counts[1]):
            raise Different
        sloping = (np.abs(slopes) > limits) & (steep[colours] > ROUNDING * steep.max())
        self.sloping = np.zeros(found.max() + 1, bool)
        self.sloping[found[order]] = sloping
        self.colours = sides[0], sides[1]


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
