"""Two models, one set of weights, the same batches and random numbers: all that a check needs to run both."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import optax

from parity.arrays.layout import Axes
from parity.models.flax_model import FlaxModel
from parity.weights.rules import Leaf

if TYPE_CHECKING:
    import torch

STEPS = 5


@dataclass(frozen=True)
class State:
    """What a training step starts from, under PyTorch's names and in its layout.

    tensors: {key: array}, parameters and buffers
    slots:   {parameter: {slot of the optimiser: array}}; empty before the first step
    """

    tensors: dict[str, np.ndarray]
    slots: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What one training step is given: inputs and targets in Flax's layout, draws in PyTorch's.

    draws: random numbers in the order in which Flax asks for them
    """

    inputs: tuple[np.ndarray, ...]
    targets: Any
    draws: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Learning:
    """How either side learns.

    flax_loss:       (outputs, targets, params) -> loss
    torch_loss:      (outputs, targets, model) -> loss
    torch_optimizer: model -> optimizer
    torch_scheduler: optimizer -> scheduler, which takes a step after each of the optimiser's
    prepare:         PyTorch's model -> None, after the gradient: clipping
    """

    flax_loss: Callable
    torch_loss: Callable
    optimizer: optax.GradientTransformation
    torch_optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer]
    torch_scheduler: Callable[[torch.optim.Optimizer], Any] | None = None
    prepare: Callable[[torch.nn.Module], Any] = lambda model: None


@dataclass(frozen=True)
class Twin:
    """Two models ready to be run on the same numbers.

    leaves:      every tensor that both have
    start:       the first weights, values that float32 holds exactly; those that PyTorch alone has, too
    input_axes:  for each input, Flax's axes in PyTorch's order; likewise output_axes for each leaf of the output
    order:       for each random number that PyTorch draws, which of Flax's it is
    names:       {PyTorch's submodule: Flax's path} of those that both have
    """

    name: str
    flax: FlaxModel
    torch_model: torch.nn.Module
    leaves: list[Leaf]
    start: State
    batches: tuple[Batch, ...]
    learning: Learning
    input_axes: tuple[Axes, ...]
    output_axes: tuple[Axes, ...]
    order: tuple[int, ...] = ()
    names: dict[str, tuple] = field(default_factory=dict)

    def torch_copy(self, dtype: str, device: str) -> torch.nn.Module:
        """A copy of PyTorch's model: no run leaves a trace in the twin."""
        import torch

        from parity.twin.draws_torch import without_cudnn_dropout

        return without_cudnn_dropout(copy.deepcopy(self.torch_model).to(device, getattr(torch, dtype)))

    @property
    def classes(self) -> bool:
        """Whether the targets are classes, so that the outputs are scores."""
        targets = self.batches[0].targets
        return isinstance(targets, np.ndarray) and np.issubdtype(targets.dtype, np.integer)

    def torch_draws(self, batch: Batch) -> tuple[np.ndarray, ...]:
        """In the order in which PyTorch asks for them."""
        return tuple(batch.draws[number] for number in self.order)
