"""Two sides, one set of weights, the same batches and random numbers: all that a check needs to run both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from d2l_jax.turns import Tensors, Turn, loss_name
from d2l_jax.weights.leaf import Leaf
from parity.arrays.layout import Axes, named_leaves
from parity.models.copies import copy_of
from parity.models.flax_model import FlaxModel
from parity.models.random_shapes import Layout

if TYPE_CHECKING:
    import torch

STEPS = 5
RandomNumbers = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class State:
    """The start of a training step, under PyTorch's names and in its layout.

    tensors: {key: array}, parameters and buffers
    slots:   {parameter: {slot of the optimiser: array}}; empty before the first step
    rates:   {parameter: learning rate of the step that led here}
    """

    tensors: dict[str, np.ndarray]
    slots: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def slot_names(self) -> set[str]:
        """Returns the names of all slots that any parameter has."""
        return {slot for slots in self.slots.values() for slot in slots}


@dataclass(frozen=True)
class Batch:
    """The tensors of one training step in Flax's layout, and its random numbers in PyTorch's.

    tensors:        by name, {"input": array or tuple of arrays, "targets": ...}
    random_numbers: in the order in which Flax asks for them
    evaluation_numbers: those that it asks for in evaluation mode, too, as a variational autoencoder may
    """

    tensors: Tensors
    random_numbers: RandomNumbers = ()
    evaluation_numbers: RandomNumbers = ()

    def numbers(self, train: bool) -> RandomNumbers:
        """Returns the random numbers of a mode, in the order in which Flax asks for them."""
        return self.random_numbers if train else self.evaluation_numbers

    @property
    def inputs(self) -> tuple[Any, ...]:
        """Returns what the model is called with in supervised learning; () where it is called otherwise."""
        inputs = self.tensors.get("input", ())
        return inputs if isinstance(inputs, tuple) else (inputs,)

    def leaves(self) -> Iterator[tuple[str, np.ndarray]]:
        """Returns (name, array) of every tensor: "input", or "input.0" of several."""
        for name, value in self.tensors.items():
            yield from named_leaves(value, name)


def leave(model: Any) -> None:
    """Leaves PyTorch's gradients as they are."""


@dataclass(frozen=True)
class TorchTurn:
    """An update of PyTorch's; see `d2l_jax.turns.Turn`.

    objective: (model, tensors) -> (loss, further tensors)
    optimizer: model -> the optimiser of what the turn trains
    scheduler: optimizer -> scheduler, which takes a step after each of the optimiser's
    prepare:   model -> None, after the gradient: clipping
    """

    objective: Callable[[Any, Tensors], tuple[torch.Tensor, Tensors]]
    optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer]
    trains: str | tuple[str, ...] = ""
    name: str = ""
    scheduler: Callable[[torch.optim.Optimizer], Any] | None = None
    prepare: Callable[[torch.nn.Module], Any] = leave

    @property
    def loss_name(self) -> str:
        """The name of the turn's loss among the tensors."""
        return loss_name(self.name)


def in_turn(turns: Sequence[Any], nets: Any, tensors: Tensors) -> Iterator[tuple[Any, Any, Tensors]]:
    """Yields (turn, loss, further tensors); the next turn meets them by name, as in a training step."""
    for turn in turns:
        loss, more = turn.objective(nets, tensors)
        yield turn, loss, more
        tensors = tensors | more | {turn.loss_name: loss}


@dataclass(frozen=True)
class FlaxSide:
    """Flax's model, its turns and its evaluation."""

    model: FlaxModel
    turns: tuple[Turn, ...]
    observe: Callable[[Any, Tensors], Tensors] | None


@dataclass(frozen=True)
class TorchSide:
    """PyTorch's model, its turns and its evaluation."""

    model: torch.nn.Module
    turns: tuple[TorchTurn, ...]
    observe: Callable[[Any, Tensors], Tensors] | None

    def copied(self, dtype: str, device: str) -> torch.nn.Module:
        """Returns a copy of the model: no run leaves a trace in the side."""
        import torch

        from parity.models.random_numbers_torch import without_cudnn_dropout
        from parity.models.torch_precision import in_precision

        model = without_cudnn_dropout(in_precision(copy_of(self.model), getattr(torch, dtype), device))
        for module in model.modules():  # eps=None is the dtype's own: another mathematics in every tier
            if isinstance(module, torch.nn.RMSNorm) and module.eps is None:
                module.eps = torch.finfo(torch.float32).eps
        return model


@dataclass(frozen=True)
class Problem:
    """The numbers that every side is run on.

    leaves: every tensor that both models have
    start:  the first weights, values that float32 holds exactly; those that PyTorch alone has, too
    axes:   of each tensor of the batches and the outputs by name, Flax's axes in PyTorch's order
    order:  for each random number that PyTorch draws, which of Flax's it is; evaluation_order: the same of that mode
    names:  {PyTorch's submodule: Flax's path} of those that both have
    turns:  (name, start of the names of the leaves that it moves) of each turn
    shared: the submodules of PyTorch's whose dropout Flax draws once for several examples or heads
    repeated: the submodules of Flax's that draw by a key which another one, named behind it, has used before
    uncertain: of the random numbers that PyTorch draws, those of which a model makes masks by hand
    turned: those of them that PyTorch gets as 1 - u: it drops where Flax keeps
    layouts: of the random numbers that PyTorch draws, how Flax's may lie in them where shapes leave it open; the
             likeliest first, which is that of all but those in `laid`
    lone:   in words, random numbers that Flax alone asks for in evaluation
    dropping: the places where PyTorch alone has a dropout, which then drops nothing; awake: where it has in evaluation
    extra:  those where Flax alone has one, which is left out; otherwise: where another of its like calls may be that
            one, what the twin has then, and the random numbers of each batch
    likeliest: PyTorch's tensors whose partners neither numbers nor shapes have decided, as no map was found that agrees
    reordered: those whose numbers stand in another order in Flax, under which the two models would agree
    held:   the values that Flax's model itself holds, where both are compared with the weights that they have
    """

    name: str
    leaves: list[Leaf]
    start: State
    batches: tuple[Batch, ...]
    axes: dict[str, Axes]
    order: tuple[int, ...]
    names: dict[str, tuple]
    turns: tuple[tuple[str, str | tuple[str, ...]], ...]
    held: dict[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    shared: tuple[str, ...] = field(default=(), kw_only=True)
    repeated: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    evaluation_order: tuple[int, ...] = field(default=(), kw_only=True)
    uncertain: tuple[int, ...] = field(default=(), kw_only=True)
    turned: tuple[int, ...] = field(default=(), kw_only=True)
    layouts: dict[int, tuple[Layout, ...]] = field(default_factory=dict, kw_only=True)
    laid: dict[int, Layout] = field(default_factory=dict, kw_only=True)
    lone: tuple[str, ...] = field(default=(), kw_only=True)
    dropping: tuple[str, ...] = field(default=(), kw_only=True)
    awake: tuple[str, ...] = field(default=(), kw_only=True)
    extra: tuple[str, ...] = field(default=(), kw_only=True)
    otherwise: tuple[tuple[dict[str, Any], tuple[RandomNumbers, ...]], ...] = field(default=(), kw_only=True)
    likeliest: tuple[str, ...] = field(default=(), kw_only=True)
    reordered: tuple[str, ...] = field(default=(), kw_only=True)

    def trained(self, trains: str | tuple[str, ...] = "") -> list[Leaf]:
        """Returns the leaves that a turn moves, by the start of their names."""
        return [leaf for leaf in self.leaves if leaf.trained and leaf.key.startswith(trains)]

    @property
    def moved(self) -> list[Leaf]:
        """Returns the leaves that any turn moves."""
        return [leaf for leaf in self.leaves if leaf.trained and any(leaf.key.startswith(t) for _, t in self.turns)]

    @property
    def resting(self) -> list[Leaf]:
        """Returns the leaves that no turn moves: buffers, and parameters that stay as they are."""
        moved = {leaf.key for leaf in self.moved}
        return [leaf for leaf in self.leaves if leaf.key not in moved]

    @property
    def as_they_are(self) -> bool:
        """Tells whether the models start from the weights that they hold, not from random ones."""
        return bool(self.held)

    @property
    def classes(self) -> bool:
        """Tells whether the targets are classes, so that the outputs are scores."""
        targets = self.batches[0].tensors.get("targets")
        return isinstance(targets, np.ndarray) and np.issubdtype(targets.dtype, np.integer)

    def torch_numbers(self, batch: Batch, train: bool = True) -> RandomNumbers:
        """Returns the random numbers of a mode, in the order in which PyTorch asks for them."""
        numbers = batch.numbers(train)
        if not train:
            return tuple(numbers[number] for number in self.evaluation_order)
        drawn = [self._laid(place, numbers[number]) for place, number in enumerate(self.order)]
        return tuple(1 - u if place in self.turned else u for place, u in enumerate(drawn))

    def _laid(self, place: int, numbers: np.ndarray) -> np.ndarray:
        """Returns random numbers as they lie in PyTorch's; Flax has them from the likeliest layout."""
        if place not in self.laid:
            return numbers
        return self.laid[place].to_torch(self.layouts[place][0].to_flax(numbers))


@dataclass(frozen=True)
class FlaxHalf(Problem):
    """Flax's side ready to be run, where PyTorch's is a recording."""

    flax: FlaxSide


@dataclass(frozen=True)
class Twin(FlaxHalf):
    """Two models ready to be run on the same numbers."""

    torch: TorchSide

    def with_flax(self, **turn: Any) -> Twin:
        """Returns the twin with another objective or optimiser of Flax's first turn: a planted mistake."""
        first, *others = self.flax.turns
        return replace(self, flax=replace(self.flax, turns=(first._replace(**turn), *others)))

    def with_torch(self, **turn: Any) -> Twin:
        """Returns the twin with another part of PyTorch's first turn: a scheduler, a clipping."""
        first, *others = self.torch.turns
        return replace(self, torch=replace(self.torch, turns=(replace(first, **turn), *others)))
