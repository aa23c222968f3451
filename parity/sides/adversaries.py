"""The PyTorch twin of two nets that learn in turns, as the Flax model learns."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.turns import Tensors
from parity.sides.iterations import channels_first
from parity.sides.stored_training import Stateful, resume_training, save_training
from parity.sides.torch_tensors import passed_on
from parity.twin.torch_side import torch_side
from parity.weights.state_dict import state_dict


class TorchAdversaries:
    """The PyTorch twin of a case, from the same weights; see `d2l_jax.runs.adversaries.Adversaries`."""

    def __init__(self, case: Case, model: nnx.Module):
        side = torch_side(case)
        self.model = side.model.train()
        self.model.load_state_dict({key: torch.tensor(array) for key, array in state_dict(model).items()})
        self.turns = side.turns
        self.optimizers = [turn.optimizer(self.model) for turn in self.turns]
        self.versions = {name: importlib.metadata.version(name) for name in ("torch", "jax", "flax", "numpy")}

    def step(self, batch: Tensors) -> dict[str, Any]:
        """Takes both turns on a batch, channels last, and returns the losses by name."""
        tensors = {name: channels_first(array) for name, array in batch.items()}
        losses = {}
        for turn, optimizer in zip(self.turns, self.optimizers, strict=True):
            self.model.zero_grad()
            loss, more = turn.objective(self.model, tensors)
            loss.backward()
            optimizer.step()
            tensors = passed_on(turn, tensors, loss, more)
            losses[turn.loss_name] = loss.item()
        return losses

    @torch.no_grad()
    def images(self, Z: np.ndarray) -> np.ndarray:
        """Returns what the generator makes, channels last, with the batch's statistics; those that run stay."""
        before = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        made = self.model.get_submodule("net_G")(channels_first(Z)).permute(0, 2, 3, 1).numpy()
        for name, buffer in self.model.named_buffers():
            buffer.copy_(before[name])
        return made

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the state dict of both nets."""
        return {key: tensor.numpy() for key, tensor in self.model.state_dict().items()}

    def save(self, folder: Path, epoch: int, meta: dict[str, Any]) -> None:
        """Saves what a run goes on from; see `stored_training`."""
        save_training(folder.parent, self._parts(), 0, meta)

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last epoch."""
        return resume_training(folder.parent, self._parts(), settings)[1]

    def _parts(self) -> Mapping[str, Stateful]:
        return {"model": self.model} | {turn.name: x for turn, x in zip(self.turns, self.optimizers, strict=True)}
