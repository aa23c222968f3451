"""Training the PyTorch twin as the Flax model is trained: the same weights, batches and figures."""

import importlib.metadata
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import torch
from torch import Tensor

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.data.batches import by_width
from d2l_jax.functional import functional
from d2l_jax.metrics import measured
from d2l_jax.runs.learner import Callback, Order, named, redrawing, start
from d2l_jax.runs.texts import Trained
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.train.epoch import Prepare, narrowed, take, unchanged
from d2l_jax.train.fit import EpochMeans, Event, Sums, check_finite, in_order, losses_of, tell
from d2l_jax.turns import Tensors, arguments
from d2l_jax.weights import file
from parity.sides.adversaries import TorchAdversaries
from parity.sides.iterations import TorchIterations
from parity.sides.stored_training import Stateful, resume_training, save, save_training, stateful
from parity.twin.torch_side import torch_side
from parity.weights.state_dict import load_state_dict, state_dict

PIECES = 12
Results = dict[str, Any]


class TorchLearner:
    """The PyTorch twin of a Case, started from the Flax model's weights; see `d2l_jax.runs.learner.Learner`.

    iterations:  the class for a case that learns an image
    adversaries: the class for two nets that learn in turns
    """

    iterations = TorchIterations
    adversaries = TorchAdversaries

    def __init__(self, case: Case, seed: int):
        torch.manual_seed(seed)
        self.case = case
        self.seed = seed
        side = torch_side(case)
        self.model = side.model
        weights = state_dict(start(case, seed))
        self.model.load_state_dict({key: torch.tensor(array) for key, array in weights.items()})
        (self.turn,) = side.turns
        self.observe = cast(Callable, side.observe)
        self.optimizer = self.turn.optimizer(self.model)
        self.scheduler = self.turn.scheduler(self.optimizer) if self.turn.scheduler else None
        self.prepare, self.prepare_test = prepared(case, seed)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.precision = str(next(self.model.parameters()).dtype).removeprefix("torch.")
        self.device = f"cpu ({torch.get_num_threads()} threads)"
        self.versions = {name: importlib.metadata.version(name) for name in ("torch", "jax", "flax", "numpy")}
        self.steps = 0

    def fit(self, data: Dataset, order: Order, epochs: range, callbacks: tuple[Callback, ...]) -> None:
        """Trains the given epochs; the callbacks hear what those of `d2l_jax.train.fit` hear, without a state."""
        with flushed():
            self._fit(data, order, epochs, callbacks)

    def _fit(self, data: Dataset, order: Order, epochs: range, callbacks: tuple[Callback, ...]) -> None:
        draw = redrawing(data, self.seed)
        prepare = jax.jit(draw) if draw else self.prepare
        for epoch in epochs:
            rows_of_epoch = order(epoch)
            train = named(data.of_epoch(epoch), data.sizes)
            batches = by_width(rows_of_epoch, data.widths and data.widths[0])
            sums = Sums.of(self.case.metrics)
            every = max(1, len(batches) // PIECES)
            for width, rows in batches:
                batch = prepare(self.steps, take(narrowed(train, width), rows))
                results = self._step(_tensors(batch))
                check_finite(losses_of(results), f"epoch {epoch}, step", self.steps)
                self.steps += 1
                sums = sums.add(results, rows[None])
                if sums.batches % every == 0:
                    tell(callbacks, Event(epoch, sums.batches, len(batches), None, None))
            held_out = self._evaluate(data, rows_of_epoch.batch_size, epoch)
            means = EpochMeans(epoch, sums.means(), held_out.means())
            tell(callbacks, Event(epoch, len(batches), len(batches), None, means))

    def _step(self, batch: Tensors) -> Results:
        self.model.train()
        self.optimizer.zero_grad()
        loss, more = self.turn.objective(self.model, batch)
        loss.backward()
        self.turn.prepare(self.model)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return {"loss": loss.item()} | _measured(self.case, batch | more | {"loss": loss})

    @torch.no_grad()
    def _evaluate(self, data: Dataset, batch_size: int, epoch: int) -> Sums:
        self.model.eval()
        sums = Sums.of(self.case.metrics)
        test = named(data.test)
        for width, rows in by_width(in_order(data.test[0], batch_size), data.widths and data.widths[1]):
            batch = _tensors(self.prepare_test(0, take(narrowed(test, width), rows)))
            observed = self.observe(self.model, batch)
            results = {"loss": observed["loss"].item()} | _measured(self.case, batch | observed)
            check_finite(losses_of(results), f"evaluation after epoch {epoch}, batch", sums.batches)
            sums = sums.add(results, rows[None])
        return sums

    @torch.no_grad()
    def predict(self, inputs: Any) -> np.ndarray:
        """The outputs in evaluation mode."""
        self.model.eval()
        inputs = self.prepare_test(0, {"input": inputs})["input"]
        return channels_last(self.model(*map(torch_inputs, map(np.array, arguments(inputs))))).numpy()

    def trained(self) -> Trained:
        """The Flax model with PyTorch's weights."""
        model = load_state_dict(self.case.build(), self.model.state_dict())
        _, params, buffers = functional(model)
        return Trained(model, params, buffers)

    def save(self, folder: Path, epoch: int, meta: dict[str, Any], keep: Collection[int]) -> Path:
        """Saves the weights as `model.pt`, as PyTorch's users expect it, and `weights.safetensors`; besides, all."""
        path = folder.parent / "model.pt"
        save(path, self.model.state_dict())
        file.write({key: tensor.numpy() for key, tensor in self.model.state_dict().items()}, path.with_name(file.NAME))
        save_training(folder.parent, self._parts(), self.steps, meta)
        return path

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last epoch; see `stored_training`."""
        self.steps, resumed = resume_training(folder.parent, self._parts(), settings)
        return resumed

    def _parts(self) -> Mapping[str, Stateful]:
        return stateful(model=self.model, optimizer=self.optimizer, scheduler=self.scheduler)


@contextmanager
def flushed() -> Iterator[None]:
    """Takes numbers too small for full precision for 0 within the block, as XLA's programs do.

    Else a recurrent net's gradients, which fade to such numbers through padding, take ten times as long.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def torch_inputs(X: np.ndarray) -> Tensor:
    """Images (batch, height, width, channels), bytes or numbers, as (batch, channels, height, width) in [0, 1]."""
    inputs = torch.from_numpy(X)
    inputs = inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs
    return inputs.permute(0, 3, 1, 2).contiguous() if inputs.ndim == 4 else inputs


def channels_last(outputs: Tensor) -> Tensor:
    """Maps (batch, channels, height, width) as (batch, height, width, channels); anything else stays."""
    return outputs.permute(0, 2, 3, 1) if outputs.ndim == 4 else outputs


def prepared(case: Case, seed: int) -> tuple[Prepare, Prepare]:
    """Returns what becomes of batches before either framework learns from them, or is tested on them."""
    if case.augment is None:
        return unchanged, unchanged
    return jax.jit(case.augment.training(seed)), jax.jit(case.augment.testing)


def _tensors(batch: Tensors) -> Tensors:
    inputs = tuple(torch_inputs(np.array(X)) for X in arguments(batch["input"]))
    targets = tuple(_targets(np.array(y)) for y in arguments(batch["targets"]))
    return {"input": inputs, "targets": targets if isinstance(batch["targets"], tuple) else targets[0]}


def _targets(y: np.ndarray) -> Tensor:
    targets = torch.from_numpy(y)
    return targets if targets.is_floating_point() else targets.long()


def _measured(case: Case, tensors: Tensors) -> Results:
    """Returns (sum, count) of each metric, by the functions that JAX measures with."""
    return measured(case.metrics, {name: _arrays(x) for name, x in tensors.items() if isinstance(x, Tensor | tuple)})


def _arrays(tensors: Tensor | tuple) -> Any:
    if isinstance(tensors, tuple):
        return tuple(map(_arrays, tensors))
    return channels_last(tensors.detach()).numpy()
