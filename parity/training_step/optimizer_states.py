"""Optax's states by path, as PyTorch's slots, and back."""

from dataclasses import replace
from typing import Any

from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.arrays.key import Key, Record
from parity.sides.slots import SlotMap
from parity.training_step.jax_state import Leaves, Path
from parity.training_step.roles import Part, Roles
from parity.twin.twin import State


def slot_map(roles: Roles, trained: list[Leaf]) -> SlotMap:
    """Returns the map of the slots, of the leaves with their paths below the root of all parameters, as in Optax."""
    return SlotMap([replace(leaf, path=leaf.path[len(roles.root) :]) for leaf in trained])


def verify(held: SlotMap, roles: Roles, leaves: Leaves, after: State, moved: float) -> None:
    """Pairs Optax's fields with PyTorch's slots by what either holds after the first update."""
    if held.verified is None and after.slots:
        held.verify(_opt_state(roles, leaves), after, moved)


def slots_in(
    held: SlotMap, roles: Roles, leaves: Leaves, slots: set[str], step: int, rates: dict[str, float]
) -> Record:
    """Returns every slot of the state under PyTorch's names."""
    return held.record(Key(step, "optimizer", ""), _opt_state(roles, leaves), slots, rates)


def leaves_with_slots(held: SlotMap, roles: Roles, leaves: Leaves, state: State, dtype: str) -> Leaves:
    """Returns the leaves with PyTorch's slots in their places."""
    slots = {slot for values in state.slots.values() for slot in values}
    if not slots:
        return leaves
    new = held.place(_opt_state(roles, leaves), state, slots, dtype)
    placed = {
        _within(part, path): value
        for part, values in zip(roles.parts, new, strict=True)
        for path, value in flatten(values._asdict())
    }
    return leaves | {path: value for path, value in placed.items() if path in leaves}


def _within(part: Part, path: Path) -> Path:
    """Returns the place in the state of a field's number, whose path begins as the parameters' paths do."""
    field, *rest = path
    rest = rest[len(part.home) :] if tuple(rest[: len(part.home)]) == part.home else rest
    return (*part.at(field), *rest)


def _opt_state(roles: Roles, leaves: Leaves) -> tuple[Any, ...]:
    """Returns the transformations' states with plain dicts in them."""
    return tuple(_rebuilt(part, leaves) for part in roles.parts)


def _rebuilt(part: Part, leaves: Leaves) -> Any:
    values: dict[str, Any] = {}
    for field in part.kind._fields:  # type: ignore[attr-defined]
        where = part.at(field)
        below = {path[len(where) :]: leaf for path, leaf in leaves.items() if path[: len(where)] == where}
        number = () in below and (field == "count" or part.home not in leaves)  # or the slot of a single array
        values[field] = below[()] if number else unflatten({(*part.home, *path): x for path, x in below.items()})
    return part.kind(**values)
