"""Time BiRNN's training step on reviews padded to 500 words, in JAX and twice in PyTorch (section 16.2).

Gradients fade through the padding to numbers that float32 holds without full precision, with which processors
are slow. XLA takes them for 0; PyTorch does so after `torch.set_flush_denormal(True)`, as where a twin is trained.
On one core: OMP_NUM_THREADS=1 taskset -c 0 python examples/padded_reviews.py
"""

import argparse
import time
from dataclasses import replace

import jax
import numpy as np
import torch

from d2l_jax import keep_memory
from d2l_jax.catalog import get
from parity.bench.batch import random_batch
from parity.bench.conditions import same_conditions
from parity.bench.jax_programs import jax_training
from parity.bench.programs import Task
from parity.bench.torch_programs import torch_training
from parity.sides.learner import flushed

SHORTEST = 100  # words of a review; the others are longer, up to all 500


def cpu(step):
    start = time.process_time()
    step()
    return 1e3 * (time.process_time() - start)


def main(texts: int, turns: int) -> None:
    keep_memory()
    case = get("sentiment-rnn").of_batch_size(texts)
    case = replace(case, args=case.args | {"vocab_size": 1000}, inputs=(case.arrays[0]._replace(below=1000),))
    batch = random_batch(case, texts)
    steps = case.arrays[0].shape[1]
    lengths = np.random.default_rng(0).integers(SHORTEST, steps + 1, (texts, 1))
    padded = jax.tree.map(lambda X: np.where(np.arange(steps) < lengths, X, 0), batch.tensors["input"])
    task = Task(case, case.build(), batch._replace(tensors=batch.tensors | {"input": padded}))
    with same_conditions():
        torch.set_num_threads(1)
        ours, theirs = jax_training(task).step, torch_training(task).step
        times = np.zeros((turns, 3))
        for turn in times:
            turn[:2] = cpu(ours), cpu(theirs)
            with flushed():
                turn[2] = cpu(theirs)
    for name, middle in zip(("JAX", "PyTorch", "PyTorch, too small numbers as 0"), np.median(times, 0)):
        print(f"{name:32} {middle:6.0f} ms of CPU for a training step of {texts} reviews of {steps} words")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", metavar="TEXTS", nargs="?", type=int, default=16, help="in a batch; 16 if none")
    parser.add_argument("turns", metavar="TURNS", nargs="?", type=int, default=5, help="5 if none")
    main(**vars(parser.parse_args()))
