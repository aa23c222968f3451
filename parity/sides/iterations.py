"""Step after step of the PyTorch twin on one batch, as the Flax model takes them: an image learns so."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.metrics import measured
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.turns import Tensors
from parity.sides.stored_training import Stateful, resume_training, save_training, stateful
from parity.twin.torch_side import freeze, torch_side
from parity.weights.state_dict import state_dict


class TorchIterations:
    """The PyTorch twin of a case, from the same weights; see `d2l_jax.runs.iterations.Iterations`."""

    def __init__(self, case: Case, model: nnx.Module, pictures: Tensors):
        side = torch_side(case)
        self.case = case
        self.model = side.model
        self.model.load_state_dict({key: torch.tensor(array) for key, array in state_dict(model).items()})
        (self.turn,) = side.turns
        freeze(self.turn, self.model)
        self.optimizer = self.turn.optimizer(self.model)
        self.scheduler = self.turn.scheduler(self.optimizer) if self.turn.scheduler else None
        with torch.no_grad():
            self.targets = cast(Any, side.observe)(self.model.eval(), jax.tree.map(channels_first, pictures))
        self.model.train()
        self.versions = {name: importlib.metadata.version(name) for name in ("torch", "jax", "flax", "numpy")}

    def step(self) -> dict[str, Any]:
        self.optimizer.zero_grad()
        loss, more = self.turn.objective(self.model, self.targets)
        loss.backward()
        self.turn.prepare(self.model)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        figures = {name: value.detach().numpy() for name, value in more.items()}
        return {"loss": loss.item()} | measured(self.case.metrics, figures)

    def image(self) -> np.ndarray:
        return self.model.get_parameter("image.weight").detach().numpy()[0].transpose(1, 2, 0)

    def save(self, folder: Path, number: int, meta: dict[str, Any]) -> None:
        """Saves what a run goes on from; see `stored_training`."""
        save_training(folder.parent, self._parts(), number, meta)

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last step that was saved."""
        return resume_training(folder.parent, self._parts(), settings)[1]

    def _parts(self) -> Mapping[str, Stateful]:
        return stateful(model=self.model, optimizer=self.optimizer, scheduler=self.scheduler)


def channels_first(images: np.ndarray) -> torch.Tensor:
    """Returns images (batch, height, width, channels) as (batch, channels, height, width)."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).contiguous()
