"""Optax's optimiser states under PyTorch's names of slots, and back.

A field of Optax's is the slot of PyTorch's that holds the same numbers after the first update. Some hold them in
another unit: the trace of `rmsprop(momentum=...)` adds up what has been multiplied by the negative rate already.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.weights.leaf import Leaf, export, flatten, place, rows_of
from parity.arrays.key import Arrays, Key, Record
from parity.sides.optax_states import Part, Place, arrays_of, parts, replaced
from parity.twin.twin import State

# Optax's name of an optimiser's slot -> PyTorch's; which of several, the other side's slots decide.
SLOTS = {
    "trace": ("momentum_buffer",),
    "mu": ("exp_avg", "grad_avg"),
    "nu": ("exp_avg_sq", "square_avg", "exp_inf"),
    "nu_max": ("max_exp_avg_sq",),
    "sum_of_squares": ("sum",),
    "e_g": ("square_avg",),
    "e_x": ("acc_delta",),
    "count": ("step",),
}
KNOWN = {name for names in SLOTS.values() for name in names}  # what one side alone has of them is a difference
SAME = 1e-4  # relative to the root mean square: rounding in float32


class Unit(NamedTuple):
    """The number of which Optax's values are a multiple of PyTorch's; `of_rate`: times the learning rate."""

    factor: float = 1.0
    of_rate: bool = False

    def of(self, rate: float) -> float:
        return self.factor * rate if self.of_rate else self.factor


UNITS = (Unit(), Unit(-1.0, True), Unit(1.0, True), Unit(-1.0))


class Slot(NamedTuple):
    """A slot of PyTorch's, and the unit in which a field of Optax's holds it."""

    name: str
    unit: Unit = Unit()


@dataclass
class SlotMap:
    """The slots of PyTorch's that the fields of a turn's optimiser hold.

    trained:  the leaves that the turn moves
    verified: by place among Optax's states; before the first update fields are known by their names
    alone:    what has no counterpart: it goes on by itself, and is not compared
    left_out: PyTorch's slots of it
    """

    trained: list[Leaf]
    verified: dict[Place, Slot] | None = None
    alone: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def verify(self, opt_state: Any, after: State, moved: float = 1.0) -> None:
        """Pairs fields with slots, given what either side holds after the first update.

        moved: of which of PyTorch's updates Flax's are the multiple, where they are one. A field that is that multiple
               tells of another gradient, as where one side alone clips it, and not of another unit
        """
        names = {slot for values in after.slots.values() for slot in values}
        fields = list(parts(opt_state, self.trained))
        every = [part for part in fields if not _is_number(part.value)]
        single = {_by_name(part.field, names) for part in fields if _is_number(part.value)}  # their names tell which
        trees = [part for part in every if isinstance(part.value, dict)]
        same = {part.place: self._holding(part, names, after, moved) for part in trees}
        self.verified = {place: slot for place, slot in same.items() if slot}
        self.verified |= self._by_names(trees, names, after, self.verified)
        left = [part for part in every if part.place not in self.verified]
        unread = {f"Optax's {part.field} ({part.owner})": _by_name(part.field, names) for part in left}
        held = {slot.name for slot in self.verified.values()}
        self.left_out = names - held - single - (KNOWN - set(unread.values()))
        self.alone = [*unread, *(f"PyTorch's {name}" for name in sorted(self.left_out))]

    def _holding(self, part: Part, names: set[str], after: State, moved: float) -> Slot | None:
        """Returns the slot with the same numbers, that of the same name first."""
        by_name = _by_name(part.field, names)
        for name in sorted(names, key=lambda name: name != by_name):
            for unit in (*UNITS, *self._multiple(part, name, after)):
                if not _of_gradient(unit, after, moved) and self._same(part.value, Slot(name, unit), after):
                    return Slot(name, unit)
        return None

    def _by_names(
        self, trees: list[Part], names: set[str], after: State, verified: dict[Place, Slot]
    ) -> dict[Place, Slot]:
        """Pairs what holds other numbers by its name, unless another field holds that slot; the only zeros first."""
        rest = [part for part in trees if part.place not in verified]
        zeros = [part for part in rest if not any(np.any(x) for x in _arrays(part.value).values())]
        free = names - {slot.name for slot in verified.values()}
        still = [name for name in free if not any(np.any(slots.get(name, 0)) for slots in after.slots.values())]
        found = {zeros[0].place: Slot(still[0])} if len(zeros) == len(still) == 1 else {}
        held = verified | found
        taken = {(held[x.place].name, path) for x in trees if x.place in held for path in _arrays(x.value)}
        for part in (part for part in rest if part.place not in found):
            name = _by_name(part.field, names)
            if name in names | KNOWN and taken.isdisjoint((name, path) for path in _arrays(part.value)):
                found[part.place] = Slot(name)
        return found

    def _multiple(self, part: Part, name: str, after: State) -> Iterator[Unit]:
        """Yields the constant by which sums of gradients differ that were scaled beforehand."""
        pairs = [(x.ravel(), y.ravel()) for x, y, _ in self._pairs(part.value, name, after)]
        square = sum(float(y @ y) for _, y in pairs)
        if part.field == "trace" and square:
            multiple = sum(float(x @ y) for x, y in pairs) / square
            yield Unit(float(f"{multiple:.6g}"))  # as people write it: the slots are rounded to float32

    def _same(self, tree: dict, slot: Slot, after: State) -> bool:
        differences = [
            (np.max(np.abs(x - slot.unit.of(rate) * y), initial=0.0), abs(slot.unit.of(rate)) * np.sqrt(np.mean(y**2)))
            for x, y, rate in self._pairs(tree, slot.name, after)
        ]
        return any(size > 0 for _, size in differences) and all(gap <= SAME * size for gap, size in differences)

    def _pairs(self, tree: dict, name: str, after: State) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Yields Optax's array, PyTorch's and the rate of each parameter that has the slot."""
        for leaf in arrays_of(self.trained, tree):
            theirs = after.slots.get(leaf.key, {}).get(name)
            if theirs is None or leaf.merged or not theirs.ndim and leaf.shape:
                continue
            [ours] = export([leaf], tree).values()
            theirs = rows_of(theirs, leaf.rows)
            if ours.shape == theirs.shape:
                yield ours.astype(np.float64), theirs.astype(np.float64), after.rates.get(leaf.key, 1.0)

    def record(self, where: Key, opt_state: Any, slots: Collection[str], rates: dict[str, float]) -> Record:
        """Returns the slots of all transformations under PyTorch's names and in its units.

        where: the key of the step and turn, without tensor and slot
        """
        record: Record = {}
        every = list(parts(opt_state, self.trained))
        for part in every:
            slot = self._slot(part, slots)
            if isinstance(part.value, dict) and slot:
                leaves = arrays_of(self.trained, part.value)
                units = {leaf.name: slot.unit.of(rates.get(leaf.key, 1.0)) for leaf in leaves}
                arrays = export(leaves, part.value)
                record |= {
                    where._replace(tensor=key, slot=slot.name): array if units[key] == 1 else array / units[key]
                    for key, array in arrays.items()
                }
            elif slot and slot.name in slots and not _rank(part.value):
                counted = self._beside(part, every)
                record |= {where._replace(tensor=x.name, slot=slot.name): np.array(part.value) for x in counted}
        return record

    def _beside(self, part: Part, every: list[Part]) -> list[Leaf]:
        """Returns the leaves of which the part's own state holds something; a counter alone counts for all."""
        trees = [each.value for each in every if each.place[:-1] == part.place[:-1] and isinstance(each.value, dict)]
        held = {path for tree in trees for path in _arrays(tree)}
        return [leaf for leaf in self.trained if leaf.path in held] or self.trained

    def place(self, opt_state: Any, state: State, slots: Collection[str], dtype: str) -> Any:
        """Returns the optimiser's state with PyTorch's slots in it; counters go on by themselves.

        What has no counterpart is rounded as PyTorch's slots without one are, or is not.
        """
        lone = [values[name] for values in state.slots.values() for name in self.left_out & values.keys()]
        rounds = bool(state.slots) and all(np.array_equal(x, np.float32(x)) for x in lone)

        def new(part: Part) -> Any:
            slot = self._slot(part, slots)
            if not isinstance(part.value, dict) or slot is None:
                return _rounded(part.value) if rounds else part.value
            arrays = {
                name: values[slot.name] * np.float64(unit) if unit != 1 else values[slot.name]
                for name, values in state.slots.items()
                if slot.name in values
                for unit in [slot.unit.of(state.rates.get(name, 1.0))]
            }
            leaves = [leaf for leaf in arrays_of(self.trained, part.value) if set(leaf.keys) <= arrays.keys()]
            return place(leaves, arrays, part.value, dtype) if leaves else part.value

        return replaced(opt_state, self.trained, new)

    def _slot(self, part: Part, slots: Collection[str]) -> Slot | None:
        if self.verified is not None and isinstance(part.value, dict):
            return self.verified.get(part.place)
        return Slot(_by_name(part.field, slots))


def _of_gradient(unit: Unit, after: State, moved: float) -> bool:
    """Tells whether the unit would be the multiple that the updates are, too."""
    factors = {unit.of(rate) for rate in after.rates.values()}
    return moved != 1 and bool(factors) and all(abs(factor - moved) <= SAME * abs(moved) for factor in factors)


def multiple(ours: Arrays, theirs: Arrays) -> float:
    """Returns the factor of all of Flax's arrays to PyTorch's; 1 where there is none."""
    names = [name for name in ours if name in theirs]
    square = sum(float(np.sum(theirs[name] ** 2)) for name in names)
    factor = sum(float(np.sum(ours[name] * theirs[name])) for name in names) / square if square else 1.0
    gap = sum(float(np.sum((ours[name] - factor * theirs[name]) ** 2)) for name in names)
    return factor if abs(factor - 1) > SAME and gap <= (SAME * factor) ** 2 * square else 1.0


def _arrays(tree: dict) -> dict[Any, np.ndarray]:
    """Returns the arrays of a tree by their paths; what masks leave out has none."""
    return {path: np.asarray(x) for path, x in flatten(tree) if hasattr(x, "dtype")}


def _is_number(value: Any) -> bool:
    return not isinstance(value, dict) and not _rank(value)


def _rank(value: Any) -> int:
    return np.ndim(value)


def _rounded(value: Any) -> Any:
    """Returns what has no counterpart, rounded as PyTorch's slots are between two steps: float32 holds it exactly.

    By numpy, since JAX reads float32 as float64 in the tier of float64.
    """

    def rounded(x: Any) -> Any:
        return jnp.asarray(np.float64(np.float32(x))) if getattr(x, "dtype", None) == np.float64 else x

    return jax.tree.map(rounded, value)


def _by_name(field: str, slots: Collection[str]) -> str:
    names = SLOTS.get(field, (field,))
    return next((name for name in names if name in slots), names[0])
