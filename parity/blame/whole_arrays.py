"""An update that differs because Flax keeps several of PyTorch's tensors in one array, over which it takes a norm.

So do LARS, LAMB and a clipping of each tensor, of layers that a scan stacks as of queries, keys and values in one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from d2l_jax.weights.leaf import Leaf, export, flatten, unflatten
from parity.blame.diagnosis.cause import Cause, choose
from parity.blame.diagnosis.optimizers.step import Arrays, Make, ObservedStep, update
from parity.models.calls import Path
from parity.models.exact import exact
from parity.models.flax_model import FlaxModel
from parity.twin.twin import Twin
from parity.twin.whole_arrays import takes_apart

SHOWN = 3


def of_whole_arrays(twin: Twin, make: Callable[[list[str]], Make], step: ObservedStep, moved: Arrays) -> Cause | None:
    """Returns the cause where PyTorch's optimiser takes Flax's step once it is given the arrays that Flax has.

    make:  gives the optimiser for tensors of these names
    moved: Flax's updates
    """
    leaves = [leaf for leaf in twin.leaves if leaf.trained and leaf.key in step.before]
    one_to_one = {leaf.key for leaf in leaves} == step.before.keys() and not any(x.merged or x.rows for x in leaves)
    if not takes_apart(twin.flax.model) or not one_to_one:
        return None
    whole = _Whole(twin.flax.model, leaves)
    try:
        with exact():
            given = whole.step(step, make)
            explained = whole.apart(dict(zip(given.before, update(given), strict=True)))
    except (ArithmeticError, RuntimeError, ValueError, LookupError, TypeError):  # an optimiser that knows its tensors
        return None
    names = list(step.before)
    candidates = [("norm-of-several", whole.text(), [explained[name] for name in names])]
    return choose(update(step), [moved[name] for name in names], candidates)


@dataclass
class _Whole:
    """PyTorch's tensors as Flax has them: an array of several goes by the name of the first."""

    model: FlaxModel
    leaves: list[Leaf]

    @cached_property
    def parts(self) -> dict[Path, list[Leaf]]:
        """Returns of each array of Flax's the tensors that it holds."""
        numbers = {leaf.path: np.full(leaf.stored, number) for number, leaf in enumerate(self.leaves)}
        whole = flatten(self.model.joined(unflatten(numbers)))
        return {path: [self.leaves[int(number)] for number in np.unique(x)] for path, x in whole}

    def step(self, step: ObservedStep, make: Callable[[list[str]], Make]) -> ObservedStep:
        """Returns the step of the arrays."""
        before, grads = self._joined(step.before), self._joined(step.grads)
        slots = {slot for held in step.state.values() for slot in held}
        held = {slot: self._joined({leaf.key: step.state[leaf.key][slot] for leaf in self.leaves}) for slot in slots}
        state = {name: {slot: arrays[name] for slot, arrays in held.items()} for name in before}
        return replace(step, make=make(list(before)), before=before, grads=grads, state=state)

    def _joined(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Returns arrays of Flax's; of what is no such array, as a count of steps, that of the first tensor."""
        if any(np.shape(arrays[leaf.key]) != leaf.shape for leaf in self.leaves):
            return {parts[0].key: arrays[parts[0].key] for parts in self.parts.values()}
        tree = unflatten({leaf.path: leaf.to_flax(np.asarray(arrays[leaf.key])) for leaf in self.leaves})
        return {self.parts[path][0].key: np.asarray(x) for path, x in flatten(self.model.joined(tree))}

    def apart(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Returns PyTorch's tensors of the arrays."""
        tree = unflatten({path: arrays[parts[0].key] for path, parts in self.parts.items()})
        return export(self.leaves, self.model.apart(tree))

    def text(self) -> str:
        several = {".".join(map(str, path)): len(parts) for path, parts in self.parts.items() if len(parts) > 1}
        names = [f"{name} (of {count})" for name, count in several.items()]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return (
            f"Flax's optimiser meets several of PyTorch's tensors in one array, {', '.join(names[:SHOWN])}{more}, and"
            " takes one norm over each; PyTorch's takes one of every tensor"
        )
