"""One bias in Flax where PyTorch adds two: the same model, but each of the two takes a step, and the sum moves twice.

A check with an optimiser of its own asks about the model alone, and lets Flax's bias move as far as the sum does.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optax

from d2l_jax.turns import Turn
from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.twin.learning import Learning
from parity.twin.twin import FlaxSide, Twin


def moved_as_sums(side: FlaxSide, leaves: Sequence[Leaf], learning: Learning) -> FlaxSide:
    """Returns the side, whose merged biases move as far as what they are the sums of, where no optimiser is named."""
    times = {leaf.path: len(leaf.keys) for leaf in _moved(leaves, learning)}
    if not times:
        return side

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        flat = {path: value * times.get(path, 1) for path, value in flatten(updates)}
        return unflatten(flat), state

    further = optax.GradientTransformation(lambda params: optax.EmptyState(), update)

    def with_further(turn: Turn) -> Turn:
        return turn._replace(optimizer=lambda: optax.chain(turn.optimizer(), further))

    return replace(side, turns=tuple(map(with_further, side.turns)))


def note_of(twin: Twin, learning: Learning) -> tuple[str, ...]:
    """Returns a line that says so, where it is done."""
    layers = dict.fromkeys(leaf.key.rpartition(".")[0] for leaf in _moved(twin.leaves, learning))
    if not layers:
        return ()
    return (
        f"Flax has one bias where PyTorch adds two in {', '.join(layers)}: outputs and gradients are the same, but each"
        " of the two takes a step, so that their sum moves twice as far; here Flax's does, too, and in your training it"
        " does not: name an optimizer, and it is compared",
    )


def _moved(leaves: Sequence[Leaf], learning: Learning) -> list[Leaf]:
    """Returns the merged biases, where no optimiser is named."""
    return [leaf for leaf in leaves if leaf.merged and learning.plain]
