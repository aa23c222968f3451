"""PyTorch's side: a run over the twin's batches, as a flat dict {phase/name: numpy array}."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError
from parity.arrays.layout import Axes, copied, named_leaves
from parity.arrays.torch_arrays import to_numpy, to_torch
from parity.sides.disturb import one_ulp
from parity.sides.disturb_layers import Disturb, disturbed_layers
from parity.sides.keys import Record as Record
from parity.sides.keys import input_names as input_names
from parity.sides.keys import phase as phase
from parity.twin.draws_torch import ImposedOnTorch
from parity.twin.twin import Batch, State, Twin


def run_torch(
    twin: Twin,
    dtype: str,
    device: str,
    states: Sequence[State] | None = None,
    seed: int = -1,
) -> tuple[Record, list[State]]:
    """Evaluates, then takes the twin's steps, each from its state; without states, from its own one, rounded.

    seed: of `one_ulp`, by which the weights, inputs and layers' outputs of each step are moved
    Returns the record and the states that the steps have started from, the last one being the end.
    """
    run = TorchRun(twin, dtype, device)
    given, record = list(states or [twin.start]), {}
    for number in range(1, len(twin.batches) + 1):
        record |= run.taken(number, given[number - 1], one_ulp(seed))
        run.advance()
        if states is None:
            given.append(rounded(run.state()))
    return record, given


def free_run_torch(twin: Twin, dtype: str, device: str, disturb: Disturb = np.asarray) -> Record:
    """All steps in a row: parameters and buffers after each, `1/conv.weight`."""
    run, record = TorchRun(twin, dtype, device, disturb), {}
    run.load(twin.start)
    for number, batch in enumerate(twin.batches, 1):
        run.step(batch, number)
        run.advance()
        record |= {f"{number}/{key}": array for key, array in run.tensors().items()}
    return record


class TorchRun:
    """A copy of PyTorch's model and its optimiser, in one precision."""

    def __init__(self, twin: Twin, dtype: str, device: str, disturb: Disturb = np.asarray):
        self.twin, self.dtype, self.device, self.disturb = twin, dtype, device, disturb
        self.model = twin.torch_copy(dtype, device)
        learning = twin.learning
        self.optimizer = learning.torch_optimizer(self.model)
        self.scheduler = learning.torch_scheduler(self.optimizer) if learning.torch_scheduler else None
        self.merged: dict[str, tuple[str, ...]] = merged(twin)

    def taken(self, number: int, state: State, disturb: Disturb = np.asarray) -> Record:
        """The step of that number from that state, disturbed; first the evaluation."""
        self.disturb, record = disturb, {}
        if number == 1:
            self.load(state)
            record = self.evaluate(self.twin.batches[0])
        self.load(state)
        return record | self.step(self.twin.batches[number - 1], number)

    def advance(self) -> None:
        """The scheduler's step, once for all runs of a step."""
        if self.scheduler:
            self.scheduler.step()

    def load(self, state: State, below: str = "") -> None:
        """Puts weights, buffers and the optimiser's slots in place; `below`: those of one submodule alone."""
        given = {key: array for key, array in state.tensors.items() if key.startswith(below)}
        floating = {key: np.issubdtype(array.dtype, np.floating) for key, array in given.items()}
        tensors = {k: self.tensor(a) if floating[k] else torch.as_tensor(a) for k, a in given.items()}
        self.model.load_state_dict(tensors, strict=not below)
        for name, parameter in self.model.named_parameters():
            self.optimizer.state.pop(parameter, None)
            if slots := state.slots.get(name):
                self.optimizer.state[parameter] = {slot: self._slot(slot, a) for slot, a in slots.items()}

    def _slot(self, name: str, array: np.ndarray) -> torch.Tensor:
        if name == "step":
            return torch.tensor(array)
        return to_torch(array.astype(self.dtype)).to(self.device)

    def state(self) -> State:
        """The reverse of `load`."""
        tensors = {key: to_numpy(tensor) for key, tensor in self.model.state_dict().items()}
        slots = {
            name: {slot: to_numpy(torch.as_tensor(v)) for slot, v in self.optimizer.state[p].items() if v is not None}
            for name, p in self.model.named_parameters()
            if self.optimizer.state[p]
        }
        return State(tensors, slots)

    def tensors(self) -> Record:
        """Parameters and buffers under the names of the twin's map."""
        return self.compared({key: to_numpy(tensor) for key, tensor in self.model.state_dict().items()})

    def compared(self, arrays: Record, mean: bool = False) -> Record:
        """Of arrays by key, what Flax has too; the sum of those that it keeps as one (of gradients, the mean)."""
        join = np.mean if mean else np.sum
        pieces = {name: [arrays[key] for key in keys if key in arrays] for name, keys in self.merged.items()}
        whole = {name: found for name, found in pieces.items() if len(found) == len(self.merged[name])}
        return {name: join(found, 0) if len(found) > 1 else found[0] for name, found in whole.items()}

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        return to_torch(self.disturb(array.astype(self.dtype))).to(self.device)

    def rounded_otherwise(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """Within it, layers are disturbed, too. In float64: what is lower has its own rounding to be judged by."""
        return disturbed_layers(module, self.disturb if self.dtype == "float64" else np.asarray)

    def inputs(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """In PyTorch's layout; floating-point ones disturbed, and ready to receive a gradient."""
        return tuple(self._input(x, axes) for x, axes in zip(batch.inputs, self.twin.input_axes, strict=True))

    def _input(self, array: np.ndarray, axes: Axes) -> torch.Tensor:
        array = copied(array, axes)
        if np.issubdtype(array.dtype, np.floating):
            return self.tensor(array).requires_grad_()
        return torch.tensor(array, device=self.device)

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Record:
        """The outputs in evaluation mode, and the buffers, which it must leave alone."""
        self.model.eval()
        inputs = self.inputs(batch)
        before = [x.clone() for x in inputs]
        with self.rounded_otherwise(self.model):
            output = dict(named_leaves(self.model(*inputs), "output"))
        if not all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)):
            raise InputError(f"{self.twin.name}: PyTorch's model changes its input in place; give it a copy there")
        record = {f"evaluation/{name}": to_numpy(tensor) for name, tensor in output.items()}
        return record | {f"evaluation/{name}": array for name, array in self.buffers().items()}

    def buffers(self) -> Record:
        trained = {name for name, _ in parameters(self.model)}
        return {name: array for name, array in self.tensors().items() if name.split(" + ")[0] not in trained}

    def step(self, batch: Batch, number: int) -> Record:
        """One update, with everything in between."""
        before = {name: to_numpy(p) for name, p in parameters(self.model)}
        inputs, outputs, loss = self.differentiate(batch)
        record = {f"{phase(number, 'forward')}/{name}": to_numpy(t) for name, t in named_leaves(outputs, "output")}
        record[f"{phase(number, 'forward')}/loss"] = to_numpy(loss)
        gradients = {name: gradient(p) for name, p in parameters(self.model)}
        found = self.compared(gradients, mean=True)
        record |= {f"{phase(number, 'gradients')}/{name}": array for name, array in found.items()}
        for name, x in zip(input_names(len(inputs)), inputs, strict=True):
            if x.requires_grad:
                record[f"{phase(number, 'gradients')}/{name}"] = gradient(x)
        self.twin.learning.prepare(self.model)
        self.optimizer.step()
        record |= {f"{phase(number, 'buffers')}/{name}": array for name, array in self.buffers().items()}
        updates = {name: to_numpy(p) - before[name] for name, p in parameters(self.model)}
        record |= {f"{phase(number, 'update')}/{name}": array for name, array in self.compared(updates).items()}
        return record | self._slots(phase(number, "optimizer"))

    def differentiate(self, batch: Batch) -> tuple[tuple[torch.Tensor, ...], Any, torch.Tensor]:
        """Inputs, outputs and loss in training mode; the gradients are in their places."""
        self.model.train()
        self.optimizer.zero_grad()
        inputs = self.inputs(batch)
        with ImposedOnTorch(self.twin.torch_draws(batch)), self.rounded_otherwise(self.model):
            outputs = self.model(*(x * 1 if x.requires_grad else x for x in inputs))
        loss = self.twin.learning.torch_loss(outputs, self.targets(batch), self.model)
        loss.backward()
        return inputs, outputs, loss

    def targets(self, batch: Batch) -> Any:
        if isinstance(batch.targets, np.ndarray):
            return self._target(batch.targets, self.twin.output_axes[0])
        return [self._target(y, axes) for y, axes in zip(batch.targets, self.twin.output_axes, strict=True)]

    def _target(self, array: np.ndarray, axes: Axes) -> torch.Tensor:
        if not np.issubdtype(array.dtype, np.floating):
            return torch.tensor(array, device=self.device)
        array = copied(array, axes) if array.ndim == len(axes) else array
        return to_torch(array.astype(self.dtype)).to(self.device)

    def _slots(self, where: str) -> Record:
        """`momentum_buffer:conv.weight`, for every slot of every parameter that the optimiser has touched."""
        slots: dict[str, Record] = {}
        for name, parameter in parameters(self.model):
            for slot, value in self.optimizer.state[parameter].items():
                if value is not None:
                    slots.setdefault(slot, {})[name] = to_numpy(torch.as_tensor(value))
        return {
            f"{where}/{slot}:{name}": array
            for slot, arrays in slots.items()
            for name, array in self.compared(arrays, mean=slot == "step").items()
        }


def merged(twin: Twin) -> dict[str, tuple[str, ...]]:
    """{name in reports: the tensors of PyTorch that it stands for}."""
    return {leaf.name: (leaf.key, *leaf.merged) for leaf in twin.leaves}


def rounded(state: State) -> State:
    """To values that float32 holds exactly, so that both precisions can start from them."""
    slots = {name: {k: _rounded(a) for k, a in slots.items()} for name, slots in state.slots.items()}
    return State({key: _rounded(a) for key, a in state.tensors.items()}, slots)


def _rounded(array: np.ndarray) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    array = array.astype(np.float32)
    return np.where(np.abs(array) < 1e-37, np.float32(0), array)  # XLA flushes smaller ones to 0


def parameters(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Every parameter under each of its names."""
    return list(model.named_parameters(remove_duplicate=False))


def gradient(tensor: torch.Tensor) -> np.ndarray:
    """Zeros where PyTorch keeps None: JAX knows no such difference."""
    return to_numpy(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
