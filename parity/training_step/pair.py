"""The two steps side by side: one state for both, and both records under PyTorch's names."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from d2l_jax.weights.leaf import Leaf, export, flatten, place, unflatten
from parity.arrays.key import Arrays, Key, Record
from parity.arrays.torch_arrays import to_numpy
from parity.models.exact import exact
from parity.sides.slots import SlotMap, multiple
from parity.training_step.jax_state import JaxStep, Leaves
from parity.training_step.losses import scalars
from parity.training_step.optimizer_states import leaves_with_slots, slot_map, slots_in, verify
from parity.training_step.roles import Roles
from parity.training_step.rounded_alike import rounded_alike
from parity.training_step.torch_step import TorchStep
from parity.training_step.weight_map import Copy, beginning
from parity.twin.twin import Batch, Problem, State


@dataclass(frozen=True)
class StepPair:
    """Both steps, and which tensor of the one is which of the other.

    leaves: parameters and buffers, with their places in the JAX state
    copies: averaged copies that both have
    batches: of numpy arrays, as JAX's step takes them
    narrow: JAX's step rounds to less than float64 by itself, which is left out there
    coarse: how many ulps of float32 are one of the half precision that both steps round to; 1 where they do not
    repeated: which draws of JAX's use a key again where PyTorch draws anew
    dropping, extra: the lines where PyTorch alone drops numbers, and Flax alone; nothing is dropped there
    within: what JAX's step of a number is taken within, where random numbers are imposed
    """

    jax: JaxStep
    torch: TorchStep
    roles: Roles
    leaves: list[Leaf]
    copies: list[Copy]
    batches: list[Any]
    narrow: bool = False
    coarse: int = 1
    repeated: str = ""
    dropping: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    within: Callable[[int, str], AbstractContextManager] = lambda number, dtype: nullcontext()

    def ulps(self, number: int, dtype: str) -> int:
        """Returns ulps of that precision in place of a number of ulps of what the steps round to in it."""
        return number if dtype == "float64" else number * self.coarse

    @property
    def problem(self) -> Problem:
        """Returns what says how long the sums are."""
        tensors = {str(number): x for number, x in enumerate(jax.tree.leaves(self.batches[0])) if np.ndim(x)}
        return Problem("", self.leaves, State({}), (Batch(tensors),), {}, (), {}, ())

    @property
    def trained(self) -> list[Leaf]:
        """Returns the parameters."""
        return [leaf for leaf in self.leaves if leaf.trained]

    @cached_property
    def held(self) -> SlotMap:
        """Returns which of PyTorch's slots Optax's states hold."""
        return slot_map(self.roles, self.trained)

    def verify(self, before: Leaves, after: Leaves, oracle: Record) -> None:
        """Pairs Optax's fields with PyTorch's slots by what either holds now, after the first update.

        oracle: PyTorch's record of it
        """
        theirs = {key.tensor: array for key, array in oracle.items() if key.phase == "update"}
        moved = multiple(self._updates(before, after), theirs)
        verify(self.held, self.roles, after, self.torch.state(), moved)

    def _updates(self, before: Leaves, after: Leaves) -> Arrays:
        olds = export(self.trained, unflatten(before))
        news = export(self.trained, unflatten(after))
        return {name: news[name] - olds[name] for name in news}

    def begun(self) -> Leaves:
        """Returns JAX's leaves at the start, where copies that PyTorch holds out of sight are those of its weights."""
        state = self.jax.state.leaves
        leaves = beginning(self.roles, self.leaves, self.copies, state)
        flat = dict(flatten(place(leaves, self.torch.tensors(), unflatten(state), "float32")))
        return {path: flat[path] for path in state}

    def equalised(self, leaves: Leaves, dtype: str) -> Leaves:
        """Returns JAX's leaves with PyTorch's present numbers in them; what it has not is rounded as those are."""
        leaves = rounded_alike(leaves, self.torch.memory.arrays()) if dtype == "float64" else leaves
        tree = place(self.leaves, self.torch.tensors(), unflatten(leaves), dtype)
        for copy in self.copies:
            arrays = {key: to_numpy(value) for key, value in self.torch.tensors_of(copy.name).items()}
            tree = place(copy.leaves, arrays, tree, dtype)
        flat = dict(flatten(tree))
        flat = {path: flat[path] for path in leaves}
        return leaves_with_slots(self.held, self.roles, flat, self.torch.state(), dtype)

    def jax_taken(self, number: int, leaves: Leaves, dtype: str) -> tuple[Leaves, Any]:
        """Takes JAX's step of that number from the leaves."""
        batch = self.batches[number - 1]
        with self.within(number, dtype):
            if self.narrow and dtype == "float64":
                return self.jax.widened(leaves, batch)
            return self.jax.taken(leaves, batch, dtype)

    def jax_record(
        self, number: int, before: Leaves, after: Leaves, returned: Any, slots: set[str], dtype: str
    ) -> Record:
        """Returns the numbers of JAX's step under PyTorch's names; a number of Python's is one of the tier's."""
        record = {Key(number, "forward", name): array.astype(dtype) for name, array in scalars(returned).items()}
        record |= {Key(number, "update", name): array for name, array in self._updates(before, after).items()}
        buffers = export([leaf for leaf in self.leaves if not leaf.trained], unflatten(after))
        record |= {Key(number, "buffers", name): array for name, array in buffers.items()}
        record |= self._copies(number, after)
        return record | slots_in(self.held, self.roles, after, slots, number, self.torch.state().rates)

    def _copies(self, number: int, leaves: Leaves) -> Record:
        tree = unflatten(leaves)
        return {
            Key(number, "buffers", name, "", copy.name): array
            for copy in self.copies
            for name, array in export(copy.leaves, tree).items()
        }

    def jax_tensors(self, number: int, leaves: Leaves) -> Record:
        """Returns all tensors as they are after a step of a free run."""
        after = {Key(number, "after", name): array for name, array in export(self.leaves, unflatten(leaves)).items()}
        return after | {key._replace(phase="after"): array for key, array in self._copies(number, leaves).items()}

    def torch_tensors(self, number: int) -> Record:
        """Returns the same of PyTorch's."""
        tensors = self.compared(self.torch.tensors())
        record = {Key(number, "after", name): array for name, array in tensors.items()}
        for copy in self.copies:
            arrays = {key: to_numpy(value) for key, value in self.torch.tensors_of(copy.name).items()}
            record |= {Key(number, "after", leaf.name, "", copy.name): arrays[leaf.key] for leaf in copy.leaves}
        return record

    def compared(self, arrays: Arrays, mean: bool = False) -> Arrays:
        """Returns by name what JAX has too; the sum, or the mean, of what it keeps as one tensor."""
        names = {leaf.name: (leaf.key, *leaf.merged) for leaf in self.leaves}
        join = np.mean if mean else np.sum
        whole = {name: [arrays[key] for key in keys] for name, keys in names.items() if all(k in arrays for k in keys)}
        return {name: join(parts, 0) if len(parts) > 1 else parts[0] for name, parts in whole.items()}

    def torch_record(self, record: Record) -> Record:
        """Returns a record of PyTorch's with the tensors alone that JAX's state has too."""
        copied = {(copy.name, leaf.key) for copy in self.copies for leaf in copy.leaves}
        groups: dict[Key, Arrays] = {}
        shared: Record = {}
        for key, array in record.items():
            if key.phase == "forward" or (key.phase == "buffers" and (key.slot, key.tensor) in copied):
                shared[key] = array
            elif not (key.phase == "buffers" and key.slot):
                groups.setdefault(key._replace(tensor=""), {})[key.tensor] = array
        for group, arrays in groups.items():
            mean = group.phase in ("gradients", "optimizer")
            shared |= {group._replace(tensor=name): array for name, array in self.compared(arrays, mean).items()}
        return shared


def shared_losses(oracle: Record, flax: Record) -> tuple[Record, Record]:
    """Returns the records with the returned numbers alone that both have; the only one of each is the same."""
    theirs = [key for key in oracle if key.phase == "forward"]
    ours = [key for key in flax if key.phase == "forward"]
    pairs = {key: key for key in theirs if key in ours}
    losses = [key for key in ours if "loss" in key.tensor.lower()]
    if not pairs and len(theirs) == 1 and (len(ours) == 1 or len(losses) == 1):
        pairs = {theirs[0]: (losses or ours)[0]}
    return (
        {key: array for key, array in oracle.items() if key.phase != "forward" or key in pairs},
        {key: array for key, array in flax.items() if key.phase != "forward"}
        | {key: flax[other] for key, other in pairs.items()},
    )


def in_tier(tier: str) -> AbstractContextManager[None]:
    """Lets JAX compute in that precision: 64-bit numbers are on in float64 alone, and nothing there is float32."""
    return exact() if tier == "float64" else jax.enable_x64(False)
