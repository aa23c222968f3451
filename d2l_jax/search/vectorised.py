"""Many learning rates trained at once: the training step, vectorised over them by `jax.vmap`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from d2l_jax.case import Case
from d2l_jax.data import Dataset, batch_order
from d2l_jax.errors import InputError
from d2l_jax.functional import parts, train_view
from d2l_jax.runs.learner import named, start
from d2l_jax.search.case_objective import error_of
from d2l_jax.train import TrainState, make_eval_step
from d2l_jax.train.epoch import make_epoch, make_evaluation
from d2l_jax.train.fit import EpochMeans, Sums, in_order
from d2l_jax.train.steps import Metrics, measured_step, step
from d2l_jax.turns import Tensors


class Lanes(NamedTuple):
    """Trainings side by side.

    rates:  the learning rate of each, float32 (lanes,)
    states: a TrainState, of which every leaf has `lanes` as its first axis
    """

    rates: Float[Array, " lanes"]
    states: TrainState

    @property
    def step(self) -> Array:
        """Returns the number of updates so far, the same in every lane."""
        return self.states.step[0]


def errors_by_rate(
    case: Case,
    data: Dataset,
    rates: Sequence[float],
    seed: int = 0,
    hear: Callable[[list[float]], None] = lambda errors: None,
) -> np.ndarray:
    """Trains the Case with every learning rate at once, and returns the errors after each epoch, (epochs, lanes).

    All start from the same weights and see the same batches, as in one run for each with that seed; sums in another
    order make the last digits differ. A lane whose loss is no longer finite is NaN from then on, and harms no other.

    hear: is told the errors of all lanes after every epoch

    Raises InputError for rates that are none, and for a Case whose images are changed at random.
    """
    if not len(rates) or not all(np.isfinite(rate) and rate > 0 for rate in rates):
        raise InputError(f"the learning rates are {list(rates)}; one or more numbers above 0 are right")
    if case.augment:
        raise InputError(f"{case.name} changes its images at random; one learning rate after another is right")
    model = start(case, seed)
    epoch_scan: Any = make_epoch(_lanes_step(case, model))
    evaluation: Any = make_evaluation(jax.vmap(make_eval_step(model, case.observe, case.metrics), (0, 0, None)))
    train, test = (jax.tree.map(jnp.asarray, named(split)) for split in (data.train, data.test))
    lanes = _begun(case, model, rates)
    errors = []
    for epoch in range(1, case.epochs + 1):
        full, rest = batch_order(data.examples, case.batch_size, seed=seed, epoch=epoch)
        means = _Means(case, len(rates))
        for rows in _batches(full, rest):
            lanes, metrics = epoch_scan(lanes, train, jnp.asarray(rows))
            means.add("train", metrics, rows)
        for rows in _batches(*in_order(test, case.batch_size)):
            metrics = evaluation(lanes.states.params, lanes.states.buffers, test, jnp.asarray(rows))
            means.add("test", metrics, rows)
        errors.append([means.error(lane, epoch) for lane in range(len(rates))])
        hear(errors[-1])
    errors = np.asarray(errors)
    return np.where(np.isfinite(np.cumsum(errors, 0)), errors, np.nan)  # one that diverged does not come back


def _lanes_step(case: Case, model: Any) -> Callable[..., Any]:
    """Returns (lanes, batch) -> (lanes, metrics of each): the one training step, with the rate as an argument."""
    run = parts(train_view(model)).run

    def one(rate: Array, state: TrainState, batch: Tensors) -> tuple[TrainState, Metrics]:
        turns = case.with_turn(optimizer=partial(case.turn.optimizer, lr=lambda count: rate)).turns
        return measured_step(partial(step, run, turns), turns, case.metrics)(state, batch)

    def all_lanes(lanes: Lanes, batch: Tensors) -> tuple[Lanes, Metrics]:
        states, metrics = jax.vmap(one, (0, 0, None))(lanes.rates, lanes.states, batch)
        return Lanes(lanes.rates, states), metrics

    return all_lanes


def _begun(case: Case, model: Any, rates: Sequence[float]) -> Lanes:
    scheduled = case.with_turn(optimizer=partial(case.turn.optimizer, lr=lambda count: 0.0))
    state = TrainState.create(model, scheduled.turns)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(rates), *leaf.shape)), state)
    return Lanes(jnp.asarray(rates, jnp.float32), jax.tree.map(jnp.copy, states))


def _batches(full: np.ndarray, rest: np.ndarray) -> list[np.ndarray]:
    return [rows for rows in (full, rest[None]) if rows.size]


class _Means:
    """The figures of an epoch, a lane at a time."""

    def __init__(self, case: Case, lanes: int):
        self.sums = {split: [Sums.of(case.metrics) for _ in range(lanes)] for split in ("train", "test")}

    def add(self, split: str, metrics: Metrics, rows: np.ndarray) -> None:
        """Adds what some batches have given; `metrics` (batches, lanes)."""
        on_host = jax.tree.map(np.asarray, metrics)
        for lane, sums in enumerate(self.sums[split]):
            one = jax.tree.map(lambda array: array[:, lane], on_host)  # noqa: B023
            self.sums[split][lane] = sums.add(one, rows)

    def error(self, lane: int, epoch: int) -> float:
        """Returns the error of a lane on the test split; NaN where a loss is not finite."""
        train, test = (self.sums[split][lane].means() for split in ("train", "test"))
        finite = np.isfinite(train["loss"]) and np.isfinite(test["loss"])
        return error_of(EpochMeans(epoch, train, test)) if finite else float("nan")
