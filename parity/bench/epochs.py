"""A whole epoch: JAX's one jitted scan over data on the device, and PyTorch as people write it."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader

from d2l_jax.case import Case
from d2l_jax.data import Dataset as Data
from d2l_jax.data import batch_order, load
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.train import TrainState, make_epoch, make_train_step
from d2l_jax.turns import Tensors
from parity.bench.conditions import same_conditions
from parity.bench.examples import Examples
from parity.bench.jax_programs import beside_the_loss
from parity.bench.timing import LEAD_IN_S, Stats, no_collection, rotated, timed_calls
from parity.bench.torch_programs import loaded
from parity.bench.usage import Usage, undisturbed
from parity.twin.torch_side import torch_turn

TOLERANCE = 1e-3  # of the mean loss of the first epoch, relative; the batches are the same
LOADERS = {"torch_loader": 0, "torch_loader_2_workers": 2}
TURN_S = 1.0
Span = tuple[Usage, Usage]  # before a turn and after it


@dataclass(frozen=True)
class EpochResult:
    """Seconds of one epoch of training, without evaluation; every epoch is timed whole.

    stats:  "jax", "torch_memory" (tensors in memory), "torch_loader" and "torch_loader_2_workers" (a
            DataLoader over items: images that `ToTensor` makes from PIL's, else rows of a `TensorDataset`)
    others: CPUs that other processes used meanwhile, per program
    gap:    between the mean losses of the first epoch of jax and torch_memory, relative
    """

    name: str
    batch: int
    examples: int
    source: str
    stats: dict[str, Stats] = field(default_factory=dict)
    others: dict[str, float | None] = field(default_factory=dict)
    compile_s: float = 0.0
    transfer_s: float = 0.0
    gap: float = math.nan

    @property
    def status(self) -> str:
        if not self.gap <= TOLERANCE:
            return "disagree"
        return "ok" if all(undisturbed(others) for others in self.others.values()) else "disturbed"

    def ratio(self, program: str) -> float | None:
        """PyTorch's time over JAX's; None if the losses disagree or others used the machine during either."""
        quiet = all(undisturbed(self.others[name]) for name in ("jax", program))
        if not quiet or not self.gap <= TOLERANCE:
            return None
        return self.stats[program].median / self.stats["jax"].median


def epoch_comparison(
    case: Case,
    data: Data | None = None,
    *,
    batch_size: int | None = None,
    most: int | None = None,
    epochs: int = 3,
    progress: Callable[[str, str], None] = lambda name, stage: None,
) -> EpochResult:
    """Trains on `data`, on the CPU, in four programs that take turns, from the same weights.

    data: by default the case's own, as `d2l_jax.data.load` finds it: labelled images, or rows of numbers or tokens
    batch_size: instead of the book's
    most: so many examples, the first, make an epoch; None takes all
    epochs: turns of each program; jax and torch_memory train one epoch before, which is compared. The loaders
    have no warm-up, since in an epoch of seconds it would change nothing.

    Raises InputError for a case that learns from no such examples.
    """
    if not case.arrays:
        raise InputError(f"{case.name} learns from no batches of a data set; a model that does is right")
    data = data or load(case.data, resize=case.resize)
    size = case.batch_size if batch_size is None else batch_size
    case = fitted(case.of_batch_size(size), data)
    examples = Examples.of(case, data).first(most)
    batch_order(len(examples), size, seed=0, epoch=0)
    progress(case.name, "the first epochs")
    with same_conditions():
        jax_epoch, compile_s, transfer_s = _jax_epoch(case, examples, size)
        programs = {"jax": jax_epoch, "torch_memory": _memory_epoch(case, examples, size)}
        ours, theirs = (program(0) for program in programs.values())
        programs |= {name: _loader_epoch(case, examples, size, workers) for name, workers in LOADERS.items()}
        stats, others = _in_turns(programs, epochs, lambda stage: progress(case.name, stage))
    gap = abs(ours - theirs) / abs(theirs)
    return EpochResult(case.name, size, len(examples), data.source, stats, others, compile_s, transfer_s, gap)


def _in_turns(
    programs: dict[str, Callable[[int], float]], turns: int, tell: Callable[[str], None]
) -> tuple[dict[str, Stats], dict[str, float | None]]:
    """(seconds, CPUs that others used meanwhile) of each program's epochs: a slow minute of the machine meets all.

    A turn is an epoch, or as many as make a second, once the other framework's threads sleep. The order rotates.
    """
    seconds = {name: list[float]() for name in programs}
    spans = {name: list[Span]() for name in programs}
    for turn in range(turns):
        for name in rotated(list(programs), turn):
            tell(f"turn {turn + 1}: {name}")
            with no_collection():
                time.sleep(LEAD_IN_S)
                before = Usage.now()
                seconds[name] += timed_calls(partial(programs[name], turn + 1), 1, TURN_S)
                spans[name].append((before, Usage.now()))
    return {name: Stats.of(times) for name, times in seconds.items()}, {name: _others(s) for name, s in spans.items()}


def _others(spans: list[Span]) -> float | None:
    starts, ends = zip(*spans)
    return Usage.total(ends).others_since(Usage.total(starts))


def _jax_epoch(case: Case, examples: Examples, size: int) -> tuple[Callable[[int], float], float, float]:
    """(number -> mean loss, seconds to compile, seconds to bring the bytes to the device)."""
    model = case.build()
    start = time.perf_counter()
    data = jax.block_until_ready(jax.device_put(examples.tensors))
    transfer_s = time.perf_counter() - start
    state = TrainState.create(model, case.turns)
    scan: Any = make_epoch(make_train_step(model, case.turns, beside_the_loss(case)))
    start = time.perf_counter()
    compiled = {rows.shape: scan.lower(state, data, rows).compile() for rows in _rows(len(examples), size, 0)}
    compile_s = time.perf_counter() - start

    def epoch(number: int) -> float:
        nonlocal state
        total = 0.0
        for rows in _rows(len(examples), size, number):
            state, metrics = compiled[rows.shape](state, data, jnp.asarray(rows))
            total += float(metrics["loss"].sum()) * rows.shape[1]
        jax.block_until_ready(state)
        return total / len(examples)

    return epoch, compile_s, transfer_s


def _rows(n: int, size: int, epoch: int) -> list[np.ndarray]:
    """The full batches, then the smaller last one, each (batches, size)."""
    full, rest = batch_order(n, size, seed=0, epoch=epoch)
    return [full, rest[None]] if len(rest) else [full]


def _torch_step(case: Case) -> Callable[[Tensors], torch.Tensor]:
    """Returns batch -> its loss times its size."""
    model = loaded(case, case.build()).train()
    turn = torch_turn(case.turn)
    optimizer = turn.optimizer(model)

    def step(batch: Tensors) -> torch.Tensor:
        optimizer.zero_grad()
        value, _ = turn.objective(model, batch)
        value.backward()
        turn.prepare(model)
        optimizer.step()
        return value.detach() * len(tree_leaves(batch["targets"])[0])

    return step


def _memory_epoch(case: Case, examples: Examples, size: int) -> Callable[[int], float]:
    """Tensors made beforehand; every batch is a lookup of rows, in JAX's order."""
    data = examples.in_memory()
    step = _torch_step(case)

    def epoch(number: int) -> float:
        batches = [torch.from_numpy(row).long() for rows in _rows(len(examples), size, number) for row in rows]
        return float(sum(step(_at(data, rows)) for rows in batches)) / len(examples)

    return epoch


def _at(data: Tensors, rows: torch.Tensor) -> Tensors:
    return tree_map(lambda a: a[rows], data)


def _loader_epoch(case: Case, examples: Examples, size: int, workers: int) -> Callable[[int], float]:
    """A timeout turns a worker that hangs into an error."""
    loader = DataLoader(examples.items(), size, shuffle=True, num_workers=workers, timeout=60 if workers else 0)
    step = _torch_step(case)

    def epoch(number: int) -> float:
        with warnings.catch_warnings():  # JAX warns of the fork; the workers never call it
            warnings.simplefilter("ignore", RuntimeWarning)
            return float(sum(step(examples.named(batch)) for batch in loader)) / len(examples)

    return epoch
