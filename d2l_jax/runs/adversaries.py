"""Two nets that learn in turns, in either framework: what a run asks of them (book, section 20.2)."""

import importlib.metadata
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.cpu.compile import jit
from d2l_jax.functional import parts, train_view
from d2l_jax.train import TrainState, checkpoint, make_train_step
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.turns import Tensors
from d2l_jax.weights.state_dict import state_dict


class Adversaries(Protocol):
    """A discriminator and a generator on their way, made of a case and the Flax model that they start from.

    versions: {library: version}
    """

    versions: dict[str, str]

    def step(self, batch: Tensors) -> dict[str, Any]:
        """Takes both turns on a batch, channels last, and returns the losses by name."""
        ...

    def images(self, Z: np.ndarray) -> np.ndarray:
        """Returns what the generator makes, float32 (number, height, width, channels), with the batch's statistics."""
        ...

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the state dict of both nets."""
        ...

    def save(self, folder: Path, epoch: int, meta: dict[str, Any]) -> None:
        """Saves what a run continues from after `epoch`, beside the epoch before it; `meta` holds its settings."""
        ...

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last good checkpoint, and returns the `meta` that was saved with it."""
        ...


class JaxAdversaries:
    """The Flax model of a case; see `Adversaries`."""

    def __init__(self, case: Case, model: nnx.Module):
        self.parts = parts(train_view(model))
        self.state = TrainState.create(model, case.turns)
        self.take = make_train_step(model, case.turns, {})
        self.versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}
        self.make = jit(lambda params, buffers, Z: self.parts.run(generated, params, buffers, Z)[0])

    def step(self, batch: Tensors) -> dict[str, Any]:
        self.state, losses = self.take(self.state, batch)
        return losses

    def images(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(self.make(self.state.params, self.state.buffers, Z))

    def weights(self) -> dict[str, np.ndarray]:
        return self.parts.run(state_dict, self.state.params, self.state.buffers)[0]

    def save(self, folder: Path, epoch: int, meta: dict[str, Any]) -> None:
        checkpoint.save(folder, epoch, self.state, meta, keep=(epoch - 1,))

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        saved = checkpoint.restore_last(folder, self.state, settings)
        self.state = saved.state
        return saved.resumed


def generated(nets: Any, Z: jax.Array) -> jax.Array:
    """Returns what the generator makes of latent numbers."""
    return nets["net_G"](Z)
