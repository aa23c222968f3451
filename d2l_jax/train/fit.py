"""Training for some epochs, with an evaluation after each."""

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from d2l_jax.data.batches import BatchOrder, by_width
from d2l_jax.errors import InputError
from d2l_jax.metrics import LABELS, Metric
from d2l_jax.train.devices import on_devices
from d2l_jax.train.epoch import Prepare, make_epoch, make_evaluation, narrowed, unchanged
from d2l_jax.train.state import TrainState
from d2l_jax.train.steps import EvalStep, Step
from d2l_jax.turns import Tensors


class EpochMeans(NamedTuple):
    """The figures of one epoch on each split: {"loss": mean over examples, metric: figure}."""

    epoch: int
    train: dict[str, float]
    test: dict[str, float]


class Event(NamedTuple):
    """News for a callback: after each piece of an epoch, and (with `means`) at its end."""

    epoch: int
    done: int
    batches: int
    state: TrainState | None  # None in the PyTorch twin's training
    means: EpochMeans | None


class TrainingDiverged(InputError):
    """Says that the loss became NaN or infinite."""


class Loop(NamedTuple):
    """The jitted functions of one training, from `make_train_step` and `make_eval_step`, and their metrics.

    prepare:      what becomes of a batch before it is learned from, see `make_epoch`
    prepare_test: the same before it is evaluated
    mesh:         the devices that data and state lie on, where the functions are of `d2l_jax.train.parallel`
    """

    step: Step
    evaluate: EvalStep
    metrics: Mapping[str, Metric] = LABELS
    prepare: Prepare = unchanged
    prepare_test: Prepare = unchanged
    mesh: Mesh | None = None


def fit(
    loop: Loop,
    state: TrainState,
    train: Tensors | Callable[[int], Tensors],
    test: Tensors,
    *,
    order: Callable[[int], tuple[np.ndarray, np.ndarray]],
    epochs: range,
    pieces: int = 1,
    widths: tuple[np.ndarray, np.ndarray] | None = None,
    callbacks: tuple[Callable[[Event], None], ...] = (),
) -> tuple[TrainState, list[EpochMeans]]:
    """Trains the given `epochs` and evaluates after each.

    train, test: all examples by name, {"input": X, "targets": y}; `train` may be a function, epoch -> its examples
    order:       epoch -> the rows of `train` as (full batches, the smaller last batch); where it depends on nothing
                 but the epoch, a run that continues from a saved state ends bit for bit as one that never stopped

    widths:      the steps that each text of `train` and of `test` needs; a batch then has texts of one width, cut to it

    An epoch is one scan, or up to `pieces` equal ones with the callbacks between them; of several widths, one for each
    batch, so that as many programs are compiled as there are widths, and one more for each that leaves a smaller batch.
    Raises `TrainingDiverged` at the first loss that is not finite.
    """
    epoch_scan = make_epoch(loop.step, loop.prepare)
    evaluation = make_evaluation(loop.evaluate, loop.prepare_test)
    records = list[EpochMeans]()
    fixed, test = on_devices(({} if callable(train) else train, test), loop.mesh)
    cut_test = cache(partial(narrowed, test))  # once for each width
    for epoch in epochs:
        examples = on_devices(train(epoch), loop.mesh) if callable(train) else fixed
        cut = cache(partial(narrowed, examples))
        rows_of_epoch = BatchOrder(*order(epoch))
        parts = _parts(rows_of_epoch, pieces, widths and widths[0])
        batches = sum(len(rows) for _, rows in parts)
        sums = Sums.of(loop.metrics)
        for width, rows in parts:
            state, metrics = epoch_scan(state, cut(width), on_devices(rows, loop.mesh))
            check_finite(losses_of(metrics), f"epoch {epoch}, step", int(state.step) - len(rows))
            sums = sums.add(metrics, rows)
            tell(callbacks, Event(epoch, sums.batches, batches, state, None))
        tested = _parts(in_order(test, rows_of_epoch.batch_size), 1, widths and widths[1])
        held_out = _held_out(loop, partial(evaluation, state.params, state.buffers), cut_test, tested, epoch)
        records.append(EpochMeans(epoch, sums.means(), held_out.means()))
        tell(callbacks, Event(epoch, batches, batches, state, records[-1]))
    return state, records


def _held_out(
    loop: Loop,
    evaluate: Callable[[Tensors, Any], Any],
    cut: Callable[[int | None], Tensors],
    parts: list[tuple[int | None, np.ndarray]],
    epoch: int,
) -> "Sums":
    """Returns the sums over the parts of an evaluation."""
    sums = Sums.of(loop.metrics)
    for width, rows in parts:
        metrics = evaluate(cut(width), on_devices(rows, loop.mesh))
        check_finite(losses_of(metrics), f"evaluation after epoch {epoch}, batch", sums.batches)
        sums = sums.add(metrics, rows)
    return sums


def losses_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is a loss among the results of a step: "loss", "generator_loss"; of (sum, count) the sum."""
    losses = {name: value for name, value in metrics.items() if name.endswith("loss")}
    return {name: value[0] if isinstance(value, tuple) else value for name, value in losses.items()}


class Sums(NamedTuple):
    """Sums over the batches so far: what the figures of an epoch are made from.

    losses: {name: sum over examples}
    counts: {metric: (sum, count)}
    """

    metrics: Mapping[str, Metric]
    losses: dict[str, float]
    counts: dict[str, tuple[float, int]]
    examples: int = 0
    batches: int = 0

    @classmethod
    def of(cls, metrics: Mapping[str, Metric]) -> "Sums":
        """Returns the sums of no batches."""
        return cls(metrics, {}, {})

    def add(self, results: Mapping[str, Any], rows: np.ndarray) -> "Sums":
        """Returns the sums with the results of some steps added; `rows` (batches, size)."""
        batches, size = rows.shape
        losses = {
            name: self.losses.get(name, 0.0) + float(np.asarray(values, np.float64).sum()) * size
            for name, values in results.items()
            if not isinstance(values, tuple)
        }
        counts = dict(self.counts)
        for name, pair in results.items():
            if isinstance(pair, tuple):
                total, count = counts.get(name, (0, 0))
                counts[name] = total + np.asarray(pair[0]).sum().item(), count + np.asarray(pair[1]).sum().item()
        return self._replace(
            losses=losses,
            counts=counts,
            examples=self.examples + rows.size,
            batches=self.batches + batches,
        )

    def means(self) -> dict[str, float]:
        """Returns the mean losses, then each metric's figure over all examples."""
        figures = {name: total / self.examples for name, total in self.losses.items()}
        for name, metric in self.metrics.items():
            if metric.measure is None:
                figures[name] = metric.figure(figures["loss"])
            elif name in self.counts:
                total, count = self.counts[name]
                figures[name] = metric.figure(total / count)
        return figures


def _parts(order: BatchOrder, pieces: int, widths: np.ndarray | None) -> list[tuple[int | None, np.ndarray]]:
    """Returns (width, rows of some batches): `_split` of all, or, where texts have several widths, batch by batch."""
    if widths is None:
        return [(None, rows) for rows in _split(*order, pieces)]
    return [(width, rows[None]) for width, rows in by_width(order, widths)]


def _split(full: np.ndarray, rest: np.ndarray, pieces: int) -> list[np.ndarray]:
    """Cuts into equal pieces, so that one compilation serves them all; then what is left over."""
    count = max((k for k in range(1, pieces + 1) if len(full) % k == 0), default=1)
    if 3 * count < pieces < len(full):  # 937 batches have no divisor up to 12: 12 pieces of 78, and one batch
        count = pieces
    cut = len(full) // count * count
    parts = [*(np.split(full[:cut], count) if cut else []), full[cut:], rest[None]]
    return [part for part in parts if part.size]


def in_order(inputs: Any, batch_size: int) -> BatchOrder:
    """Returns the rows of an evaluation, about a million numbers to a batch.

    1000 examples at most, `batch_size` at least: what fits into memory in training fits here too.
    """
    first = jax.tree.leaves(inputs)[0]
    examples = len(first)
    size = max(batch_size, min(1000, 2**20 // max(1, math.prod(first.shape[1:]))))
    rows = np.arange(examples, dtype=np.int32)
    full = examples // size * size
    return BatchOrder(rows[:full].reshape(-1, size), rows[full:])


def check_finite(losses: Mapping[str, Any], where: str, before: int) -> None:
    """Raises `TrainingDiverged` for the first loss that is not finite; `before` batches came before these."""
    for name, values in losses.items():
        values = np.atleast_1d(np.asarray(values))
        if len(bad := np.flatnonzero(~np.isfinite(values))):
            called = "the loss" if name == "loss" else f"the {name.replace('_', ' ')}"
            at = f"{where} {before + bad[0] + 1}"
            raise TrainingDiverged(f"training diverged: {called} is {values[bad[0]]} at {at}")


def tell(callbacks: tuple[Callable[[Event], None], ...], event: Event) -> None:
    """Calls every callback with the event."""
    for callback in callbacks:
        callback(event)
