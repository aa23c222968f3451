"""A Case in training: what a run asks of either framework, and JAX's answer."""

import importlib.metadata
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.cpu.compile import jit
from d2l_jax.data import BatchOrder, Dataset
from d2l_jax.data.dataset import Split
from d2l_jax.functional import eval_view, functional, parts
from d2l_jax.runs.texts import Trained
from d2l_jax.train import Event, Loop, TrainState, checkpoint, fit, make_eval_step, make_train_step
from d2l_jax.train.checkpoint import Resumed
from d2l_jax.train.devices import on_devices
from d2l_jax.train.epoch import Prepare
from d2l_jax.train.host import local
from d2l_jax.train.negatives import fresh_negatives
from d2l_jax.train.parallel import Devices, cut_evaluation, make_parallel_step
from d2l_jax.train.steps import to_float
from d2l_jax.turns import Tensors, arguments
from d2l_jax.weights import file
from d2l_jax.weights.pretrained import put_pretrained
from d2l_jax.weights.state_dict import put, state_dict

Callback = Callable[[Event], None]
Order = Callable[[int], BatchOrder]


def named(split: Split, sizes: np.ndarray | None = None) -> Tensors:
    """Returns a split of a data set by name: {"input": X, "targets": y}, and "sizes" of images of several sizes."""
    return {"input": split[0], "targets": split[1]} | ({} if sizes is None else {"sizes": sizes})


def redrawing(data: Dataset, seed: int) -> Prepare | None:
    """Returns what draws other items of a ranking in every step; None for data of another kind."""
    return None if data.pool is None else fresh_negatives(data.pool, seed)


def start(case: Case, seed: int) -> nnx.Module:
    """Returns the model as a run starts it: freshly drawn, or with the weights of `case.weights`.

    Raises InputError where these are of another model.
    """
    model = case.build(seed)
    if case.starts:
        new = state_dict(model)
        put(model, new | {name: array for name, array in case.starts.items() if name in new})
    return put_pretrained(model, file.read(Path(case.weights)), case.weights) if case.weights else model


class Learner(Protocol):
    """A model that is being trained.

    parameters: how many numbers are trained
    device:     where
    precision:  dtype of the parameters
    versions:   {library: version}
    """

    parameters: int
    device: str
    precision: str
    versions: dict[str, str]

    def fit(self, data: Dataset, order: Order, epochs: range, callbacks: tuple[Callback, ...]) -> None:
        """Trains the given epochs; `d2l_jax.train.fit` tells what the callbacks hear."""
        ...

    def predict(self, inputs: Any) -> np.ndarray:
        """The outputs in evaluation mode."""
        ...

    def trained(self) -> Trained:
        """The Flax model with the weights so far."""
        ...

    def save(self, folder: Path, epoch: int, meta: dict[str, Any], keep: Collection[int]) -> Path:
        """Saves what a run continues from, beside the `keep` epochs that are there; returns the path.

        The weights alone go beside `folder`, into a file that either framework reads.
        """
        ...

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        """Goes back to the last good checkpoint, and returns the `meta` that was saved with it."""
        ...


class JaxLearner:
    """The Flax model of a Case; see `Learner`."""

    def __init__(self, case: Case, seed: int, devices: Devices | None = None):
        self.model = start(case, seed)
        self.seed = seed
        self.mesh = devices.mesh if devices else None
        self.loop = loop_of(case, self.model, devices)
        if case.augment:
            self.loop = self.loop._replace(prepare=case.augment.training(seed), prepare_test=case.augment.testing)
        self.state = on_devices(TrainState.create(self.model, case.turns), self.mesh)
        self.apply = jit(functional(eval_view(self.model)).apply)
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(self.state.params))
        self.precision = str(jax.tree.leaves(self.state.params)[0].dtype)
        device = jax.devices()[0]
        kind = f"cpu ({os.cpu_count()} cores)" if device.platform == "cpu" else device.device_kind
        self.device = kind + (_shared_by(devices) if devices else "")
        self.versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}

    def fit(self, data: Dataset, order: Order, epochs: range, callbacks: tuple[Callback, ...]) -> None:
        test = jax.tree.map(jnp.asarray, named(data.test))
        once = data.redraw is None
        train = named(data.train, data.sizes) if once else lambda epoch: named(data.of_epoch(epoch))
        draw = redrawing(data, self.seed)
        loop = self.loop._replace(prepare=draw) if draw else self.loop
        hear = (self._hear, *callbacks)
        fit(loop, self.state, train, test, order=order, epochs=epochs, pieces=12, widths=data.widths, callbacks=hear)

    def _hear(self, event: Event) -> None:
        if event.state is not None:
            self.state = event.state

    def predict(self, inputs: Any) -> np.ndarray:
        state = local(self.state)
        batch = {"input": jax.tree.map(jnp.asarray, inputs)}
        on_device = to_float(self.loop.prepare_test(state.step, batch)["input"], state.params)
        outputs, _ = self.apply(state.params, state.buffers, *arguments(on_device))
        return np.asarray(outputs)

    def trained(self) -> Trained:
        state = local(self.state)
        return Trained(self.model, state.params, state.buffers)

    def save(self, folder: Path, epoch: int, meta: dict[str, Any], keep: Collection[int]) -> Path:
        state = local(self.state)
        checkpoint.save(folder, epoch, state, meta, keep)
        weights, _ = parts(self.model).run(state_dict, state.params, state.buffers)
        file.write(weights, folder.parent / file.NAME)
        return folder / str(epoch)

    def resume(self, folder: Path, settings: dict[str, Any]) -> Resumed:
        saved = checkpoint.restore_last(folder, self.state, settings)
        self.state = on_devices(saved.state, self.mesh)
        return saved.resumed


def loop_of(case: Case, model: nnx.Module, devices: Devices | None = None) -> Loop:
    """Returns the functions by which a Case is trained, on one device or on several."""
    evaluate = make_eval_step(model, case.observe, case.metrics)
    if devices is None:
        return Loop(make_train_step(model, case.turns, case.metrics), evaluate, case.metrics)
    mesh, batch_norm = devices
    step = make_parallel_step(model, case.turns, mesh, case.metrics, batch_norm)
    return Loop(step, cut_evaluation(evaluate, mesh), case.metrics, mesh=mesh)


def _shared_by(devices: Devices) -> str:
    processes = jax.process_count()
    among = f" of {processes} processes" if processes > 1 else ""
    return f", {devices.mesh.size} devices{among}, batch norm {devices.batch_norm}"
