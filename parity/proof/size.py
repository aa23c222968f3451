"""The size of a case, known without running it: how long its check takes, and how much memory, follow from it."""

from contextlib import nullcontext
from typing import NamedTuple

import jax
import torch
from flax.traverse_util import unflatten_dict

from d2l_jax.case import Case
from d2l_jax.turns import Tree, Turn, parted
from parity.twin.torch_side import torch_model


class Size(NamedTuple):
    """The size of a model and of its training.

    tensors: parameters and buffers
    numbers: in all tensors
    slots:   numbers that the optimisers keep
    outputs: numbers that all layers put out for one batch, where that is known
    """

    tensors: int = 0
    numbers: int = 0
    slots: int = 0
    outputs: int = 0

    @property
    def work(self) -> float:
        """Returns what a check takes, in units without a name: compiling goes by tensors, the rest by numbers."""
        return self.tensors + (self.numbers + self.slots) / 1e5


def size_of(case: Case, full: bool = False) -> Size:
    """Returns the size of the case's model, small or with the book's arguments, which are not allocated."""
    try:
        with torch.device("meta") if full else nullcontext():
            model = torch_model(case, probe=not full)
        shapes = {name: jax.ShapeDtypeStruct(tuple(p.shape), "float32") for name, p in model.named_parameters()}
        params = unflatten_dict({tuple(name.split(".")): shape for name, shape in shapes.items()})
        values = model.state_dict().values()
        return Size(len(values), sum(x.numel() for x in values), sum(slots_of(turn, params) for turn in case.turns))
    except Exception:  # the case's own check says what is wrong with it
        return Size()


def slots_of(turn: Turn, params: Tree) -> int:
    """Returns how many numbers the optimiser keeps beside the parameters that it moves."""
    state = jax.eval_shape(turn.transformation().init, parted(params, turn.trains)[0])
    return sum(leaf.size for leaf in jax.tree.leaves(state))
