"""Chapter 21: epochs a second of MF, NeuMF and Caser, in JAX as one scan and in PyTorch as people write the loop.

Both learn from the same weights and batches in memory, without evaluation; other items are drawn by each. The turns of
the two alternate. The data is MovieLens-100K of D2L_DATA, or drawn ratings.
"""

import argparse
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax.catalog import get
from d2l_jax.data import batch_order, load
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.learner import named, redrawing
from d2l_jax.train import TrainState, make_epoch, make_train_step
from d2l_jax.train.epoch import unchanged
from parity.sides.learner import TorchLearner

START = "ml100k" if os.environ.get("D2L_DATA") else "drawn_ratings"
FORMS = {"mf": "", "neumf": "_ranking", "caser": "_sequences"}


def timed(work, number: int) -> np.ndarray:
    """Returns seconds of the clock, and of the processor, which other programs hardly lengthen."""
    start = np.array([time.perf_counter(), time.process_time()])
    work(number)
    return np.array([time.perf_counter(), time.process_time()]) - start


def race(name: str, turns: int = 5) -> np.ndarray:
    """Returns median seconds of an epoch: (JAX and PyTorch, clock and processor)."""
    data = load(START + FORMS[name])
    case = fitted(get(name), data)
    train = named(data.train)

    model = case.build(0)
    step = make_train_step(model, case.turns, {})
    epoch = make_epoch(step, redrawing(data, 0) or unchanged)
    state = [TrainState.create(model, case.turns)]
    on_device = jax.tree.map(jnp.asarray, train)

    learner = TorchLearner(case, 0)
    tensors = {
        "input": tuple(map(torch.as_tensor, train["input"])),
        "targets": torch.as_tensor(train["targets"]),
    }
    pool = None if data.pool is None else torch.as_tensor(data.pool)
    sizes = None if pool is None else (pool >= 0).sum(1)

    def in_jax(number: int) -> None:
        full, rest = batch_order(data.examples, case.batch_size, seed=0, epoch=number)
        state[0], _ = epoch(state[0], on_device, jnp.asarray(full))
        state[0], losses = epoch(state[0], on_device, jnp.asarray(rest[None]))
        jax.block_until_ready((state, losses))

    def in_torch(number: int) -> None:
        full, rest = batch_order(data.examples, case.batch_size, seed=0, epoch=number)
        learner.model.train()
        for rows in map(torch.as_tensor, [*full, rest]):
            inputs = tuple(array[rows] for array in tensors["input"])
            targets = tensors["targets"][rows]
            if pool is not None and sizes is not None:
                users = inputs[0]
                targets = pool[users, (torch.rand(len(users)) * sizes[users]).long()][:, None]
            learner.optimizer.zero_grad()
            loss, _ = learner.turn.objective(learner.model, {"input": inputs, "targets": targets})
            loss.backward()
            learner.optimizer.step()

    in_jax(0)
    in_torch(0)
    return np.median([(timed(in_jax, turn), timed(in_torch, turn)) for turn in range(1, turns + 1)], 0)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("names", metavar="MODEL", nargs="*", help=f"of {', '.join(FORMS)}; all if none")
names = parser.parse_args().names or list(FORMS)
if wrong := [name for name in names if name not in FORMS]:
    parser.error(f"{wrong[0]} is none of the models here; {', '.join(FORMS)} are right")
for name in names:
    for (ours, theirs), by in zip(race(name).T, ("", " of the processor")):
        rates = f"JAX {1 / ours:6.2f} epochs/s   PyTorch {1 / theirs:6.2f} epochs/s"
        print(f"{name:6} {rates}   {theirs / ours:.1f} times{by}")
