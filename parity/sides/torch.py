"""PyTorch's side: the twin's batches, step by step, recorded as numpy arrays."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from d2l_jax.errors import InputError
from d2l_jax.turns import Tensors
from d2l_jax.weights.leaf import Leaf
from parity.arrays.key import Arrays, Key, Phase, Record, in_phases
from parity.arrays.layout import Axes, copied
from parity.arrays.torch_arrays import slot_array, slot_value, to_numpy, to_torch
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.constants import Shift, put_constant, torch_constants, unmoved
from parity.sides.disturb_layers import Disturb, disturbed_layers
from parity.sides.disturb_operations import rounding_otherwise
from parity.sides.torch_tensors import (
    arrays_of,
    gradient,
    joined,
    leaves,
    mapped,
    moved,
    parameters,
    passed_on,
    touched,
)
from parity.twin.twin import Batch, State, TorchTurn, Twin


class TorchRun:
    """A copy of PyTorch's model and its optimisers, in one precision."""

    def __init__(self, twin: Twin, dtype: str, device: str, disturb: Disturb = np.asarray):
        self.twin = twin
        self.dtype = dtype
        self.device = device
        self.disturb = disturb
        self.model = twin.torch.copied(dtype, device)
        self.constants = torch_constants(self.model, twin.leaves)
        self.shift: Shift = unmoved
        self.turns = twin.torch.turns
        self.optimizers = [turn.optimizer(self.model) for turn in self.turns]
        pairs = zip(self.turns, self.optimizers, strict=True)
        self.schedulers = [turn.scheduler(optimizer) for turn, optimizer in pairs if turn.scheduler]
        self.fixed = [leaf for leaf in twin.resting if leaf.trained]

    def taken(self, number: int, state: State, disturb: Disturb = np.asarray, batch: Batch | None = None) -> Record:
        """Takes the step of that number from that state, disturbed, on its batch or another; first the evaluation."""
        self.disturb = disturb
        batch = batch or self.twin.batches[number - 1]
        self.load(state)
        record = self.evaluate(batch, number) if number == 1 or not self.turns else {}
        self.load(state)
        return record | self.step(batch, number)

    def advance(self) -> None:
        """Takes the schedulers' step, once for all runs of a step."""
        for scheduler in self.schedulers:
            scheduler.step()

    def load(self, state: State, below: str = "") -> None:
        """Puts weights, buffers and the optimisers' slots in place; `below`: those of one submodule alone."""
        arrays = {key: array for key, array in state.tensors.items() if key.startswith(below)}
        floating = {key: np.issubdtype(array.dtype, np.floating) for key, array in arrays.items()}
        tensors = {k: self.tensor(a) if floating[k] else torch.as_tensor(a) for k, a in arrays.items()}
        self.model.load_state_dict(tensors, strict=not below)
        for name, array in self.constants.items():
            put_constant(self.model, name, self.shift(array))
        for turn, optimizer in zip(self.turns, self.optimizers, strict=True):
            for name, parameter in self.model.named_parameters():
                optimizer.state.pop(parameter, None)
                if (slots := state.slots.get(name)) and name.startswith(turn.trains):
                    values = {s: slot_value(s, a, self.dtype, self.device) for s, a in slots.items()}
                    optimizer.state[parameter] = values

    def state(self) -> State:
        """Returns the weights, buffers and slots as they are now: the reverse of `load`."""
        slots = {
            name: {slot: slot_array(v) for slot, v in optimizer.state[p].items() if v is not None}
            for optimizer in self.optimizers
            for name, p in self.model.named_parameters()
            if p in optimizer.state and optimizer.state[p]
        }
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        rates = {
            names[parameter]: float(group["lr"])
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
            if "lr" in group and parameter in names
        }
        return State(arrays_of(self.model), slots, rates)

    def tensors(self) -> Arrays:
        """Returns parameters and buffers under the names of the twin's map."""
        return self.compared(arrays_of(self.model))

    def compared(self, arrays: Arrays, mean: bool = False) -> Arrays:
        """Returns by name what Flax has too; the sum of what it keeps as one array (of gradients, the mean)."""
        return joined(self.twin.leaves, arrays, mean)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Returns the numbers in this precision, disturbed."""
        return to_torch(self.disturb(array.astype(self.dtype))).to(self.device)

    def rounded_otherwise(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """Disturbs layers, too, in float64: lower precision has its own rounding to be judged by."""
        return disturbed_layers(module, self.disturb if self.dtype == "float64" else np.asarray)

    def batch(self, batch: Batch) -> Tensors:
        """Returns the tensors in PyTorch's layout; floating-point ones disturbed, and ready to receive a gradient.

        Targets are neither.
        """
        leaf = {"targets": self._target}
        return {name: mapped(leaf.get(name, self._input), value, name) for name, value in batch.tensors.items()}

    def _input(self, array: np.ndarray, name: str) -> torch.Tensor:
        array = self._in_torch_layout(array, name)
        floating = np.issubdtype(array.dtype, np.floating)
        return self.tensor(array).requires_grad_() if floating else torch.tensor(array, device=self.device)

    def _target(self, array: np.ndarray, name: str) -> torch.Tensor:
        array = self._in_torch_layout(array, name)
        floating = np.issubdtype(array.dtype, np.floating)
        return (
            to_torch(array.astype(self.dtype)).to(self.device) if floating else torch.tensor(array, device=self.device)
        )

    def _in_torch_layout(self, array: np.ndarray, name: str) -> np.ndarray:
        axes: Axes = self.twin.axes.get(name, ())
        return copied(array, axes) if array.ndim == len(axes) else array

    @torch.no_grad()
    def evaluate(self, batch: Batch, number: int = 1) -> Record:
        """Returns what is observed in evaluation mode, and the buffers, which it must leave alone."""
        arrays: Arrays = {}
        if self.twin.torch.observe is not None:
            self.model.eval()
            tensors = self.batch(batch)
            before = [(name, x.clone()) for name, x in leaves(tensors)]
            numbers = self.twin.torch_numbers(batch, train=False)
            imposed = ImposedOnTorch(numbers) if numbers else nullcontext()
            operations = rounding_otherwise(self.disturb)
            with operations, torch_precision(self.dtype), imposed, self.rounded_otherwise(self.model):
                observed = self.twin.torch.observe(self.model, tensors)
            if not all(torch.equal(x, y) for (_, x), (_, y) in zip(leaves(tensors), before, strict=True)):
                raise InputError(f"{self.twin.name}: PyTorch's model changes its input in place; give it a copy there")
            arrays = {name: to_numpy(tensor) for name, tensor in leaves(observed)}
        return {Key(number, "evaluation", name): array for name, array in (arrays | self.buffers()).items()}

    def buffers(self) -> Arrays:
        """Returns the tensors that are no parameters."""
        trained = {name for name, _ in parameters(self.model)}
        return self._held(leaf for leaf in self.twin.leaves if leaf.key not in trained)

    def _held(self, leaves: Iterable[Leaf]) -> Arrays:
        """Returns the tensors of some leaves under their names in reports; a copy of the others would take memory."""
        names = {leaf.name for leaf in leaves}
        keys = {key for leaf in self.twin.leaves if leaf.name in names for key in leaf.keys}
        return {name: array for name, array in self.compared(arrays_of(self.model, keys)).items() if name in names}

    def step(self, batch: Batch, number: int) -> Record:
        """Takes every turn once, with everything in between."""
        record: Record = {}
        tensors = self.batch(batch)
        drawing = ImposedOnTorch(self.twin.torch_numbers(batch))
        for turn, optimizer in zip(self.turns, self.optimizers, strict=True):
            seen, tensors = self._turn(turn, optimizer, tensors, drawing, number, last=turn is self.turns[-1])
            record |= seen
        return record

    def train(self, batch: Batch) -> None:
        """Takes every turn once, and records nothing."""
        tensors = self.batch(batch)
        drawing = ImposedOnTorch(self.twin.torch_numbers(batch))
        for turn, optimizer in zip(self.turns, self.optimizers, strict=True):
            loss, more = self.differentiate(turn, tensors, drawing, last=turn is self.turns[-1])
            self._updated(turn, optimizer)
            tensors = passed_on(turn, tensors, loss, more)

    def _updated(self, turn: TorchTurn, optimizer: torch.optim.Optimizer) -> None:
        """Takes the optimiser's step; a number that it makes by itself, as NAdam's product, has the run's precision."""
        with torch_precision(self.dtype):
            turn.prepare(self.model)
            optimizer.step()

    def _turn(
        self,
        turn: TorchTurn,
        optimizer: torch.optim.Optimizer,
        tensors: Tensors,
        drawing: ImposedOnTorch,
        number: int,
        last: bool,
    ) -> tuple[Record, Tensors]:
        """Returns the record of the turn, and the tensors that the next one meets."""
        own = [(name, p) for name, p in parameters(self.model) if name.startswith(turn.trains)]
        before = {name: to_numpy(p) for name, p in own}
        loss, more = self.differentiate(turn, tensors, drawing, last)
        forward = {name: to_numpy(tensor) for name, tensor in leaves(more)} | {"loss": to_numpy(loss)}
        gradients = self.compared({name: gradient(p) for name, p in own}, mean=True)
        for name, x in leaves(tensors):
            if x.requires_grad and x.is_leaf:
                gradients[name] = gradient(x)
                x.grad = None
        self._updated(turn, optimizer)
        phases: dict[Phase, Arrays] = {
            "forward": forward,
            "gradients": gradients,
            "buffers": self.buffers() | self._held(self.fixed),
            "update": self.compared({name: moved(p, before.pop(name)) for name, p in own}),
        }
        self.model.zero_grad()  # of a large model they are gigabytes
        record = in_phases(number, turn.name, phases) | self._slots(number, turn.name, optimizer, own)
        return record, passed_on(turn, tensors, loss, more)

    def differentiate(
        self, turn: TorchTurn, tensors: Tensors, drawing: ImposedOnTorch, last: bool = True
    ) -> tuple[torch.Tensor, Tensors]:
        """Returns loss and further tensors in training mode; the gradients are in their places.

        last: nothing is drawn after this turn
        """
        self.model.train()
        self.model.zero_grad()
        drawing.more_to_come = not last
        with rounding_otherwise(self.disturb):
            with torch_precision(self.dtype), drawing, self.rounded_otherwise(self.model):
                loss, more = turn.objective(self.model, touched(tensors))
            if loss.requires_grad:
                loss.backward()
        return loss, more

    def _slots(
        self, number: int, turn: str, optimizer: torch.optim.Optimizer, own: list[tuple[str, torch.Tensor]]
    ) -> Record:
        """Returns every slot of every parameter that the optimiser has touched."""
        slots: dict[str, Arrays] = {}
        for name, parameter in own:
            for slot, value in optimizer.state[parameter].items():
                if value is not None:
                    slots.setdefault(slot, {})[name] = to_numpy(torch.as_tensor(value))
        return {
            Key(number, "optimizer", name, turn, slot): array
            for slot, arrays in slots.items()
            for name, array in self.compared(arrays, mean=slot == "step").items()
        }
