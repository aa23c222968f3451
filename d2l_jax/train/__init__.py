"""Training as pure functions of one state, and an epoch as one scan over data on the device."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError
from d2l_jax.functional import Tree, eval_view, functional, train_view

Inputs = Array | tuple[Array, ...]
Batch = tuple[Inputs, Array]
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
        # An optimiser may start two slots with one array, which cannot be donated twice.
        params, buffers, opt_state = jax.tree.map(jnp.copy, (params, buffers, tx.init(params)))
        return cls(params, buffers, opt_state, jnp.zeros((), jnp.int32))

    def update(self, tx: optax.GradientTransformation, grads: Tree, buffers: Tree) -> "TrainState":
        """The state after one update of the optimiser."""
        updates, opt_state = tx.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        return self._replace(params=params, buffers=buffers, opt_state=opt_state, step=self.step + 1)


def make_objective(model: nnx.Module, loss: Loss, penalty: Penalty | None = None) -> Callable:
    """(params, buffers, inputs, targets) -> (loss + penalty(params), (outputs, buffers)) in training mode."""
    apply = functional(train_view(model)).apply

    def objective(params: Tree, buffers: Tree, inputs: Inputs, targets: Array) -> tuple[Array, tuple[Array, Tree]]:
        outputs, buffers = apply(params, buffers, *arguments(inputs))
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

    return jit(step, donate_argnums=0)


def make_eval_step(model: nnx.Module, loss: Loss) -> Callable[[Tree, Tree, Batch], Metrics]:
    """(params, buffers, (inputs, targets)) -> {"loss", "correct"}, jitted, in evaluation mode."""
    apply = functional(eval_view(model)).apply

    def step(params: Tree, buffers: Tree, batch: Batch) -> Metrics:
        outputs, _ = apply(params, buffers, *arguments(to_float(batch[0], params)))
        return _metrics(loss(outputs, batch[1]), outputs, batch[1])

    return jit(step)


def arguments(inputs: Any) -> tuple[Any, ...]:
    """What a model is called with: several inputs stand in a tuple."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def to_float(inputs: Inputs, params: Tree) -> Inputs:
    """Bytes 0..255 become numbers in [0, 1] of the parameters' dtype; anything else stays."""
    if isinstance(inputs, tuple) or inputs.dtype != jnp.uint8:
        return inputs
    return inputs.astype(jax.tree.leaves(params)[0].dtype) / 255


def _metrics(loss: Array, outputs: Array, targets: Array) -> Metrics:
    """The batch's loss, and how many labels are right (0 where targets are not labels: integers, one for each row)."""
    labels = jnp.issubdtype(targets.dtype, jnp.integer) and targets.shape == outputs.shape[:-1]
    return {"loss": loss, "correct": jnp.sum(_right(outputs, targets)) if labels else jnp.zeros((), jnp.int32)}


def _right(outputs: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Bool[Array, "*batch"]:
    """argmax(outputs) == labels: no class before the label has as much, none behind it more, none is NaN.

    XLA:CPU takes five times as long for argmax.
    """
    at = labels[..., None]
    most = jnp.take_along_axis(outputs, at, -1)
    beaten = jnp.where(jnp.arange(outputs.shape[-1]) < at, outputs < most, outputs <= most)
    return beaten.all(-1) & (labels >= 0) & (labels < outputs.shape[-1])


def make_epoch(step: Callable) -> Callable[[TrainState, Batch, Int[Array, "batches size"]], tuple[TrainState, Metrics]]:
    """(state, data on the device, rows of each batch) -> (state, metrics of each batch): one scan, jitted."""

    def epoch(state: TrainState, data: Batch, order: Array) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(lambda state, rows: step(state, take(data, rows)), state, order)

    return jit(epoch, donate_argnums=0)


def make_evaluation(step: Callable) -> Callable[[Tree, Tree, Batch, Int[Array, "batches size"]], Metrics]:
    """(params, buffers, data on the device, rows of each batch) -> metrics of each batch, jitted."""

    def evaluation(params: Tree, buffers: Tree, data: Batch, order: Array) -> Metrics:
        return jax.lax.map(lambda rows: step(params, buffers, take(data, rows)), order)

    return jit(evaluation)


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
    """What a callback is given: after each piece of an epoch, and (with `record`) at its end."""

    epoch: int
    done: int
    batches: int
    state: TrainState | None  # None in the PyTorch twin's training
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
        sums, batches = Sums(), len(full) + (len(rest) > 0)
        for rows in _split(full, rest, pieces):
            state, metrics = epoch_scan(state, train, jnp.asarray(rows))
            check_finite(metrics["loss"], f"epoch {epoch}, step", int(state.step) - len(rows))
            sums = sums.add(metrics["loss"], metrics["correct"], rows)
            _tell(callbacks, Event(epoch, sums.batches, batches, state, None))
        held_out = Sums()
        for rows in _split(*in_order(test[0], full.shape[1] if len(full) else len(rest)), 1):
            metrics = evaluation(state.params, state.buffers, test, jnp.asarray(rows))
            check_finite(metrics["loss"], f"evaluation after epoch {epoch}, batch", held_out.batches)
            held_out = held_out.add(metrics["loss"], metrics["correct"], rows)
        records.append(Record(epoch, *sums.means(), *held_out.means()))
        _tell(callbacks, Event(epoch, batches, batches, state, records[-1]))
    return state, records


class Sums(NamedTuple):
    """What the figures of a `Record` are made from."""

    loss: float = 0.0
    correct: int = 0
    examples: int = 0
    batches: int = 0

    def add(self, losses: Any, correct: Any, rows: np.ndarray) -> "Sums":
        """With the mean losses and the right labels of some batches; `rows` (batches, size)."""
        batches, size = rows.shape
        loss = float(np.asarray(losses, np.float64).sum()) * size
        right = int(np.asarray(correct).sum())
        return Sums(self.loss + loss, self.correct + right, self.examples + rows.size, self.batches + batches)

    def means(self) -> tuple[float, float]:
        """(mean loss, share of right labels) over all examples."""
        return self.loss / self.examples, self.correct / self.examples


def _split(full: np.ndarray, rest: np.ndarray, pieces: int) -> list[np.ndarray]:
    """Equal pieces, so that one compilation serves them all; then what is left over."""
    count = max((k for k in range(1, pieces + 1) if len(full) % k == 0), default=1)
    if 3 * count < pieces < len(full):  # 937 batches have no divisor up to 12: 12 pieces of 78, and one batch
        count = pieces
    cut = len(full) // count * count
    parts = [*(np.split(full[:cut], count) if cut else []), full[cut:], rest[None]]
    return [part for part in parts if part.size]


def in_order(inputs: Any, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an evaluation as (full batches, the rest), about a million numbers to a batch.

    1000 examples at most, `batch_size` at least: what fits into memory in training fits here too.
    """
    first = arguments(inputs)[0]
    n, size = len(first), max(batch_size, min(1000, 2**20 // max(1, math.prod(first.shape[1:]))))
    rows, full = np.arange(n, dtype=np.int32), n // size * size
    return rows[:full].reshape(-1, size), rows[full:]


def check_finite(losses: Any, where: str, before: int) -> None:
    """Raises `TrainingDiverged` for the first of `losses` that is not finite; `before` came before them."""
    losses = np.asarray(losses)
    if len(bad := np.flatnonzero(~np.isfinite(losses))):
        at = f"{where} {before + bad[0] + 1}"
        raise TrainingDiverged(f"training diverged: the loss is {losses[bad[0]]} at {at}; lower --lr")


def _tell(callbacks: tuple[Callable[[Event], None], ...], event: Event) -> None:
    for callback in callbacks:
        callback(event)
