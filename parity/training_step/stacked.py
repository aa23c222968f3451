"""A JAX state whose ensemble is stacked, an axis for its members in each array, taken apart as PyTorch's N modules."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.training_step.jax_state import JaxState, JaxStep


@dataclass(frozen=True)
class Division:
    """Where a state is stacked: everything in its largest parts whose arrays all have an axis for the members.

    whole:  the state as the user made it
    count:  how many members there are
    """

    whole: Any
    count: int

    def apart(self, state: Any) -> Any:
        """Returns the state with a list of members in the place of each stack."""
        return jax.tree.map(self._members, self.whole, state, is_leaf=self._stacked)

    def joined(self, state: Any) -> Any:
        """Returns the state as the user's step takes it."""
        return jax.tree.map(self._stack, self.whole, state, is_leaf=self._stacked)

    def _stacked(self, node: Any) -> bool:
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(node)]
        return any(len(shape) > 1 for shape in shapes) and all(shape[:1] == (self.count,) for shape in shapes)

    def _members(self, whole: Any, node: Any) -> Any:
        if not self._stacked(whole):
            return node
        return [jax.tree.map(lambda x, number=number: x[number], node) for number in range(self.count)]

    def _stack(self, whole: Any, members: Any) -> Any:
        return jax.tree.map(lambda *each: jnp.stack(each), *members) if self._stacked(whole) else members


def taken_apart(step: JaxStep, model: torch.nn.Module) -> Iterator[JaxStep]:
    """Yields the step over its state with stacks taken apart, where that has the sizes of PyTorch's parameters."""
    state = step.state
    theirs = Counter(parameter.numel() for parameter in model.parameters())
    counts = dict.fromkeys(np.shape(leaf)[0] for leaf in state.leaves.values() if np.ndim(leaf) > 1)
    for count in counts:
        divided = _divided(step, Division(state.original, count))
        sizes = Counter(np.size(leaf) for leaf in divided.state.leaves.values())
        if count > 1 and not theirs - sizes:
            yield divided


def _divided(step: JaxStep, division: Division) -> JaxStep:
    def divided(state: Any, batch: Any) -> Any:
        after, returned = step.called(division.joined(state), batch)
        return division.apart(step.state.merged(list(after.values()))), returned

    return JaxStep(divided, JaxState(division.apart(division.whole)))
