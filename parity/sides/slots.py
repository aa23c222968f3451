"""Optax's optimiser states under PyTorch's names of slots, and back."""

from typing import Any

import jax
import numpy as np

from d2l_jax.weights.leaf import Leaf, export, flatten, place
from parity.arrays.key import Key, Record
from parity.twin.twin import State

# Optax's name of an optimiser's slot -> PyTorch's; which of several, the other side's slots decide.
SLOTS = {
    "trace": ("momentum_buffer",),
    "mu": ("exp_avg", "grad_avg"),
    "nu": ("exp_avg_sq", "square_avg"),
    "nu_max": ("max_exp_avg_sq",),
    "sum_of_squares": ("sum",),
    "e_g": ("square_avg",),
    "e_x": ("acc_delta",),
    "count": ("step",),
}
# States of Optax that count updates for themselves: PyTorch has its schedulers outside the optimiser.
UNSEEN = ("ScaleByScheduleState", "InjectStatefulHyperparamsState")


def slots_of(where: Key, opt_state: Any, trained: list[Leaf], slots: set[str]) -> Record:
    """Returns every slot of every transformation in the chain, under PyTorch's names.

    where: the key of the step and turn, without tensor and slot
    """
    record: Record = {}
    for part in _parts(opt_state):
        for field, value in part._asdict().items():
            name = _slot(field, slots)
            if isinstance(value, dict):
                arrays = export(_with_slot(trained, value), value)
                record |= {where._replace(tensor=key, slot=name): array for key, array in arrays.items()}
            elif name in slots:
                record |= {where._replace(tensor=leaf.name, slot=name): np.array(value) for leaf in trained}
    return record


def with_slots(opt_state: Any, state: State, trained: list[Leaf], slots: set[str], dtype: str) -> Any:
    """Returns the optimiser's state with PyTorch's slots in it; counters go on by themselves."""

    def tree(value: Any, slot: str) -> Any:
        arrays = {name: values[slot] for name, values in state.slots.items() if slot in values}
        if not isinstance(value, dict) or not arrays:
            return value
        return place([leaf for leaf in _with_slot(trained, value) if leaf.key in arrays], arrays, value, dtype)

    def placed(part: Any) -> Any:
        if not hasattr(part, "_fields") or type(part).__name__ in UNSEEN:
            return part
        return part._replace(**{field: tree(v, _slot(field, slots)) for field, v in part._asdict().items()})

    return jax.tree.map(placed, opt_state, is_leaf=_is_part)


def _with_slot(trained: list[Leaf], tree: dict) -> list[Leaf]:
    """Returns the leaves that have the slot: momentum may be one group's alone."""
    values = dict(flatten(tree))
    return [leaf for leaf in trained if values.get(leaf.path) is not None]


def _slot(field: str, slots: set[str]) -> str:
    names = SLOTS.get(field, (field,))
    return next((name for name in names if name in slots), names[0])


def _parts(opt_state: Any) -> list[Any]:
    parts = jax.tree.leaves(opt_state, is_leaf=_is_part)
    return [part for part in parts if hasattr(part, "_asdict") and type(part).__name__ not in UNSEEN]


def _is_part(node: Any) -> bool:
    """A transformation's own state; those that wrap others are looked into."""
    return hasattr(node, "_fields") and not any(_holds_parts(value) for value in node)


def _holds_parts(value: Any) -> bool:
    return isinstance(value, tuple) and (hasattr(value, "_fields") or any(hasattr(v, "_fields") for v in value))
