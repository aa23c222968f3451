"""Step after step on one batch, in either framework: an image learns so (book, section 14.12)."""

import importlib.metadata
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.cpu.compile import jit
from d2l_jax.functional import eval_view, parts
from d2l_jax.train import TrainState, checkpoint, make_train_step
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.turns import Tensors


class Iterations(Protocol):
    """A model on its way: made of a case, the Flax model it starts from, and the pictures that lead it.

    What the case observes of the pictures stays the same, so that no step computes it again.

    versions: {library: version}
    """

    versions: dict[str, str]

    def step(self) -> dict[str, Any]:
        """Takes a step, and returns the loss before it as "loss", and (sum, count) of each metric of the case."""
        ...

    def image(self) -> np.ndarray:
        """Returns the image so far, float32 (height, width, 3)."""
        ...

    def save(self, folder: Path, number: int, meta: dict[str, Any]) -> None:
        """Saves what a run continues from after that step; `meta` holds its settings."""
        ...

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last good checkpoint, and returns the `meta` that was saved with it."""
        ...


class JaxIterations:
    """The Flax model of a case; see `Iterations`."""

    def __init__(self, case: Case, model: nnx.Module, pictures: Tensors):
        run, params, buffers = parts(eval_view(model))
        self.targets, _ = jit(partial(run, case.observe))(params, buffers, jax.device_put(pictures))
        self.state = TrainState.create(model, case.turns)
        self.take = make_train_step(model, case.turns, case.metrics)
        self.versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}

    def step(self) -> dict[str, Any]:
        self.state, results = self.take(self.state, self.targets)
        return results

    def image(self) -> np.ndarray:
        return np.asarray(self.state.params["image"]["weight"][0])

    def save(self, folder: Path, number: int, meta: dict[str, Any]) -> None:
        checkpoint.save(folder, number, self.state, meta)

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        saved = checkpoint.restore_last(folder, self.state, settings)
        self.state = saved.state
        return saved.resumed
