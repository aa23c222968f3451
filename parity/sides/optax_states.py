"""Optax's optimiser states, however transformations are chained, masked, counted or injected within each other."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from d2l_jax.weights.leaf import Leaf, flatten

# States of Optax that count updates for themselves: PyTorch has its schedulers outside the optimiser.
UNSEEN = ("ScaleByScheduleState", "InjectStatefulHyperparamsState", "InjectHyperparamsState", "MultiStepsState")

Place = tuple[Any, ...]


class Part(NamedTuple):
    """A field of a state that says something of parameters, or counts.

    place: of the field among all states; two transformations may have fields of one name
    owner: the name of its state's class
    """

    place: Place
    owner: str
    field: str
    value: Any


def parts(opt_state: Any, leaves: list[Leaf]) -> Iterator[Part]:
    """Yields every tree of arrays like the parameters, and every other field that is no state itself."""
    seen: list[Part] = []

    def note(part: Part) -> Any:
        seen.append(part)
        return part.value

    replaced(opt_state, leaves, note)
    yield from seen


def replaced(opt_state: Any, leaves: list[Leaf], new: Callable[[Part], Any]) -> Any:
    """Returns the states with `new(part)` in the place of each part."""

    def walk(node: Any, place: Place, owner: str, field: str) -> Any:
        if isinstance(node, dict) and not arrays_of(leaves, node):
            return {key: walk(value, (*place, key), owner, field) for key, value in node.items()}
        if hasattr(node, "_fields"):
            state: Any = node
            name = type(state).__name__
            fields = {f: walk(value, (*place, f), name, f) for f, value in state._asdict().items()}
            return state._replace(**fields)
        if isinstance(node, tuple | list):
            return type(node)(walk(value, (*place, n), owner, field) for n, value in enumerate(node))
        if node is None or not field or owner in UNSEEN and not isinstance(node, dict):
            return node
        return new(Part(place, owner, field, node))

    return walk(opt_state, (), "", "")


def arrays_of(leaves: list[Leaf], tree: dict) -> list[Leaf]:
    """Returns the leaves that have an array of their own shape in the tree: a state may be of some parameters alone."""
    values = dict(flatten(tree))
    return [leaf for leaf in leaves if getattr(values.get(leaf.path), "shape", None) == leaf.stored]
