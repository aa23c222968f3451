"""Optax's states by path, as PyTorch's slots, and back."""

from dataclasses import replace
from typing import Any

from parity.arrays.key import Key, Record
from parity.sides.slots import slots_of, with_slots
from parity.training_step.jax_state import Leaves, Path
from parity.training_step.roles import Part, Roles
from parity.twin.twin import State
from parity.weights.leaf import Leaf, flatten, unflatten


def slots_in(roles: Roles, leaves: Leaves, trained: list[Leaf], slots: set[str], step: int) -> Record:
    """Returns every slot of the state under PyTorch's names."""
    return slots_of(Key(step, "optimizer", ""), _opt_state(roles, leaves), _relative(roles, trained), slots)


def leaves_with_slots(roles: Roles, leaves: Leaves, state: State, trained: list[Leaf], dtype: str) -> Leaves:
    """Returns the leaves with PyTorch's slots in their places."""
    slots = {slot for values in state.slots.values() for slot in values}
    if not slots:
        return leaves
    new = with_slots(_opt_state(roles, leaves), state, _relative(roles, trained), slots, dtype)
    return leaves | {
        (*part.path, *path): value
        for part, values in zip(roles.parts, new, strict=True)
        for path, value in flatten(values._asdict())
        if (*part.path, *path) in leaves
    }


def _relative(roles: Roles, trained: list[Leaf]) -> list[Leaf]:
    """Returns the leaves with their paths below the root of all parameters, as Optax has them."""
    return [replace(leaf, path=leaf.path[len(roles.root) :]) for leaf in trained]


def _opt_state(roles: Roles, leaves: Leaves) -> tuple[Any, ...]:
    """Returns the transformations' states with plain dicts in them."""
    return tuple(_rebuilt(part, leaves) for part in roles.parts)


def _rebuilt(part: Part, leaves: Leaves) -> Any:
    values: dict[str, Any] = {}
    for field in part.kind._fields:  # type: ignore[attr-defined]
        where: Path = (*part.path, field)
        below = {path[len(where) :]: leaf for path, leaf in leaves.items() if path[: len(where)] == where}
        values[field] = below[()] if () in below else unflatten(below)
    return part.kind(**values)
