"""Rows of an embedding updated alone, or with its whole table: Adam and SparseAdam in both frameworks (section 15.4).

A step looks up 512 x 62 rows, as skip-gram does with a word, its context and the padding; the tables grow.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from d2l_jax import optim

EMBED = 100
ROWS = 512 * 62
SIZES = (6_719, 100_000, 400_000)
TURNS = 5


def loss(vectors):
    """Any loss of the rows; the same operators in both frameworks."""
    return (vectors * vectors).sum()


def jax_dense(table: np.ndarray, rows: np.ndarray) -> Callable[[], None]:
    """Returns a step of Adam on the whole table, whose buffers it writes into."""
    adam = optim.Adam()
    held = [jnp.asarray(table), adam.init(jnp.asarray(table)), jnp.asarray(rows)]

    def step(table, state, rows):
        updates, state = adam.update(jax.grad(lambda table: loss(table[rows]))(table), state, table)
        return optax.apply_updates(table, updates), state

    return stepping(jax.jit(step, donate_argnums=(0, 1)), held)


def jax_sparse(table: np.ndarray, rows: np.ndarray) -> Callable[[], None]:
    """Returns a step of SparseAdam on the rows alone."""
    adam = optim.SparseAdam()
    held = [jnp.asarray(table), adam.init(jnp.asarray(table)), jnp.asarray(rows)]

    def step(table, state, rows):
        return adam.update(table, state, rows, jax.grad(loss)(table[rows]))

    return stepping(jax.jit(step, donate_argnums=(0, 1)), held)


def stepping(step: Callable, held: list) -> Callable[[], None]:
    """Returns a function that takes a step from table and state in `held`, and puts the next ones there."""

    def run() -> None:
        held[:2] = step(*held)
        jax.block_until_ready(held)

    return run


def torch_step(table: np.ndarray, rows: np.ndarray, sparse: bool) -> Callable[[], None]:
    """Returns PyTorch's step: `SparseAdam` on sparse gradients, or fused `Adam` on dense ones."""
    embedding = torch.nn.Embedding.from_pretrained(torch.tensor(table), freeze=False, sparse=sparse)
    params = list(embedding.parameters())
    adam = torch.optim.SparseAdam(params) if sparse else torch.optim.Adam(params, fused=True)
    indices = torch.tensor(rows)

    def run() -> None:
        adam.zero_grad()
        loss(embedding(indices)).backward()
        adam.step()

    return run


def milliseconds(steps: list[Callable[[], None]]) -> np.ndarray:
    """Returns the median time of each step, taken in turns after one that compiles."""
    for step in steps:
        step()
    times = np.zeros((TURNS, len(steps)))
    for turn in times:
        for place, step in enumerate(steps):
            start = time.perf_counter()
            step()
            turn[place] = 1e3 * (time.perf_counter() - start)
    return np.median(times, axis=0)


print(f"{'words':>8}   JAX: Adam  SparseAdam   PyTorch: Adam  SparseAdam   ms a step of {ROWS:,} rows")
for size in SIZES:
    random = np.random.default_rng(0)
    table = random.normal(size=(size, EMBED)).astype(np.float32)
    rows = random.zipf(1.2, ROWS) % size  # few words are frequent
    steps = [jax_dense(table, rows), jax_sparse(table, rows)]
    steps += [torch_step(table, rows, sparse) for sparse in (False, True)]
    dense, sparse, torch_dense, torch_sparse = milliseconds(steps)
    print(f"{size:8,}   {dense:9.1f}  {sparse:10.1f}   {torch_dense:13.1f}  {torch_sparse:10.1f}")
