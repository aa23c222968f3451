"""The size of a case, known without running it: how long its check takes, and how much memory, follow from it."""

from contextlib import nullcontext
from typing import NamedTuple

import jax
import torch
from flax.traverse_util import unflatten_dict

from d2l_jax.case import Case
from d2l_jax.turns import Turn
from parity.twin.torch_side import moved, torch_model


class Size(NamedTuple):
    """Tensors of a model, and numbers in them and in the slots of its optimisers."""

    tensors: int = 0
    numbers: int = 0

    @property
    def work(self) -> float:
        """Returns what a check takes, in units without a name: compiling goes by tensors, the rest by numbers."""
        return self.tensors + self.numbers / 1e5


def size_of(case: Case, full: bool = False) -> Size:
    """Returns the size of the case's model, small or with the book's arguments, which are not allocated."""
    try:
        with torch.device("meta") if full else nullcontext():
            model = torch_model(case, probe=not full)
        values = model.state_dict().values()
        return Size(len(values), sum(x.numel() for x in values) + sum(_slots(turn, model) for turn in case.turns))
    except Exception:  # the case's own check says what is wrong with it
        return Size()


def _slots(turn: Turn, model: torch.nn.Module) -> int:
    """Returns how many numbers the optimiser keeps beside the parameters that it moves."""
    shapes = {name: jax.ShapeDtypeStruct(tuple(p.shape), "float32") for name, p in moved(turn, model)}
    params = unflatten_dict({tuple(name.split(".")): shape for name, shape in shapes.items()})
    return sum(x.size for x in jax.tree.leaves(jax.eval_shape(turn.transformation().init, params)))
