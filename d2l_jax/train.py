"""Training as pure functions of one state, and an epoch as one scan over data on the device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Int

from d2l_jax.errors import InputError
from d2l_jax.functional import Tree, eval_view, functional, train_view

Batch = tuple[Array, Array]
Metrics = dict[str, Array]
Loss = Callable[[Array, Array], Array]
Penalty = Callable[[Tree], Array]


class TrainState(NamedTuple):
    """All that a training step reads and writes.

    params:    what is trained
    buffers:   running statistics, dropout keys and counts
    opt_state: the optimiser's own state
    step:      updates made so far, int32
    """

    params: Tree
    buffers: Tree
    opt_state: optax.OptState
    step: Int[Array, ""]

    @classmethod
    def create(cls, model: nnx.Module, tx: optax.GradientTransformation) -> "TrainState":
        """The state at step 0. Its arrays are copies: a step may donate them, `model` stays whole."""
        _, params, buffers = functional(model)
        params, buffers = jax.tree.map(jnp.copy, (params, buffers))
        return cls(params, buffers, tx.init(params), jnp.zeros((), jnp.int32))

    def update(self, tx: optax.GradientTransformation, grads: Tree, buffers: Tree) -> "TrainState":
        """The state after one update of the optimiser."""
        updates, opt_state = tx.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        return TrainState(params, buffers, opt_state, self.step + 1)


def make_objective(model: nnx.Module, loss: Loss, penalty: Penalty | None = None) -> Callable:
    """(params, buffers, inputs, targets) -> (loss, (outputs, buffers)) in training mode, to be differentiated.

    `penalty(params)` joins the loss.
    """
    apply = functional(train_view(model)).apply

    def objective(params: Tree, buffers: Tree, inputs: Array, targets: Array) -> tuple[Array, tuple[Array, Tree]]:
        outputs, buffers = apply(params, buffers, inputs)
        value = loss(outputs, targets)
        return value + penalty(params) if penalty else value, (outputs, buffers)

    return objective


def make_train_step(
    model: nnx.Module, tx: optax.GradientTransformation, loss: Loss, penalty: Penalty | None = None
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """(state, (inputs, targets)) -> (state, {"loss", "correct"}): one jitted update.

    The state is donated: go on with the one that is returned.
    """
    gradient = jax.value_and_grad(make_objective(model, loss, penalty), has_aux=True)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        inputs, targets = to_float(batch[0], state.params), batch[1]
        (value, (outputs, buffers)), grads = gradient(state.params, state.buffers, inputs, targets)
        return state.update(tx, grads, buffers), _metrics(value, outputs, targets)

    return jax.jit(step, donate_argnums=0)


def make_eval_step(model: nnx.Module, loss: Loss) -> Callable[[Tree, Tree, Batch], Metrics]:
    """(params, buffers, (inputs, targets)) -> {"loss", "correct"}, jitted, in evaluation mode."""
    apply = functional(eval_view(model)).apply

    def step(params: Tree, buffers: Tree, batch: Batch) -> Metrics:
        outputs, _ = apply(params, buffers, to_float(batch[0], params))
        return _metrics(loss(outputs, batch[1]), outputs, batch[1])

    return jax.jit(step)


def to_float(inputs: Array, params: Tree) -> Array:
    """Bytes 0..255 become numbers in [0, 1] of the parameters' dtype; anything else stays."""
    if inputs.dtype != jnp.uint8:
        return inputs
    return inputs.astype(jax.tree.leaves(params)[0].dtype) / 255


def _metrics(loss: Array, outputs: Array, targets: Array) -> Metrics:
    """The batch's loss, and how many labels are right (0 where the targets are not labels)."""
    labels = jnp.issubdtype(targets.dtype, jnp.integer)
    correct = jnp.sum(jnp.argmax(outputs, -1) == targets) if labels else jnp.zeros((), jnp.int32)
    return {"loss": loss, "correct": correct}


def make_epoch(step: Callable) -> Callable[[TrainState, Batch, Int[Array, "batches size"]], tuple[TrainState, Metrics]]:
    """(state, data on the device, rows of each batch) -> (state, metrics of each batch): one scan, jitted."""

    def epoch(state: TrainState, data: Batch, order: Array) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(lambda state, rows: step(state, take(data, rows)), state, order)

    return jax.jit(epoch, donate_argnums=0)


def make_evaluation(step: Callable) -> Callable[[Tree, Tree, Batch, Int[Array, "batches size"]], Metrics]:
    """(params, buffers, data on the device, rows of each batch) -> metrics of each batch, jitted."""

    def evaluation(params: Tree, buffers: Tree, data: Batch, order: Array) -> Metrics:
        return jax.lax.map(lambda rows: step(params, buffers, take(data, rows)), order)

    return jax.jit(evaluation)


def take(data: Batch, rows: Int[Array, " size"]) -> Batch:
    """The examples at `rows`."""
    return jax.tree.map(lambda a: a[rows], data)


class Record(NamedTuple):
    """The figures of one epoch: losses are means over examples, accuracies shares (0 without labels)."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


class Event(NamedTuple):
    """What a callback of `fit` is given: after each piece of an epoch, and (with `record`) at its end."""

    epoch: int
    done: int
    batches: int
    state: TrainState
    record: Record | None


class TrainingDiverged(InputError):
    """The loss became NaN or infinite."""


class Loop(NamedTuple):
    """The jitted functions of one training: from `make_train_step` and `make_eval_step`."""

    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
    evaluate: Callable[[Tree, Tree, Batch], Metrics]


def fit(
    loop: Loop,
    state: TrainState,
    train: Batch,
    test: Batch,
    *,
    order: Callable[[int], tuple[np.ndarray, np.ndarray]],
    epochs: range,
    pieces: int = 1,
    callbacks: tuple[Callable[[Event], None], ...] = (),
) -> tuple[TrainState, list[Record]]:
    """Trains the given `epochs` and evaluates after each.

    `order(epoch)` gives the rows of `train` as (full batches, the smaller last batch); where it depends
    on nothing but the epoch, a run that continues from a saved state ends bit for bit as one that never
    stopped. An epoch is one scan, or up to `pieces` equal ones with the callbacks between them.
    Raises `TrainingDiverged` at the first loss that is not finite.
    """
    epoch_scan, evaluation, records = make_epoch(loop.step), make_evaluation(loop.evaluate), []
    train, test = jax.device_put((train, test))
    for epoch in epochs:
        full, rest = order(epoch)
        sums, batches = _Sums(), len(full) + (len(rest) > 0)
        for rows in _split(full, rest, pieces):
            state, metrics = epoch_scan(state, train, jnp.asarray(rows))
            _check_finite(metrics, f"epoch {epoch}, step", int(state.step) - len(rows))
            sums = sums.add(metrics, rows)
            _tell(callbacks, Event(epoch, sums.batches, batches, state, None))
        held_out = _Sums()
        for rows in _split(*_in_order(len(test[1])), 1):
            metrics = evaluation(state.params, state.buffers, test, jnp.asarray(rows))
            _check_finite(metrics, f"evaluation after epoch {epoch}, batch", held_out.batches)
            held_out = held_out.add(metrics, rows)
        records.append(Record(epoch, *sums.means(), *held_out.means()))
        _tell(callbacks, Event(epoch, batches, batches, state, records[-1]))
    return state, records


class _Sums(NamedTuple):
    loss: float = 0.0
    correct: int = 0
    examples: int = 0
    batches: int = 0

    def add(self, metrics: Metrics, rows: np.ndarray) -> "_Sums":
        batches, size = rows.shape
        loss = float(np.asarray(metrics["loss"], np.float64).sum()) * size
        correct = int(metrics["correct"].sum())
        return _Sums(self.loss + loss, self.correct + correct, self.examples + rows.size, self.batches + batches)

    def means(self) -> tuple[float, float]:
        return self.loss / self.examples, self.correct / self.examples


def _split(full: np.ndarray, rest: np.ndarray, pieces: int) -> list[np.ndarray]:
    """Equal pieces, so that one compilation serves them all; then the smaller last batch."""
    count = max((k for k in range(1, pieces + 1) if len(full) % k == 0), default=1)
    return [*(np.split(full, count) if len(full) else []), *([rest[None]] if len(rest) else [])]


def _in_order(n: int, batch_size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    rows, full = np.arange(n, dtype=np.int32), n // batch_size * batch_size
    return rows[:full].reshape(-1, batch_size), rows[full:]


def _check_finite(metrics: Metrics, where: str, before: int) -> None:
    bad = np.flatnonzero(~np.isfinite(np.asarray(metrics["loss"])))
    if len(bad):
        value = float(metrics["loss"][bad[0]])
        raise TrainingDiverged(f"training diverged: the loss is {value} at {where} {before + bad[0] + 1}; lower --lr")


def _tell(callbacks: tuple[Callable[[Event], None], ...], event: Event) -> None:
    for callback in callbacks:
        callback(event)
