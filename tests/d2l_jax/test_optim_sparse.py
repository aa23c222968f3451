"""SparseAdam beside `torch.optim.SparseAdam`, and its step beside a dense one: rows that no batch touches stay."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from d2l_jax import optim
from d2l_jax.errors import InputError
from d2l_jax.optim.sparse_adam import summed

SIZE, EMBED, STEPS = 9, 3, 12
OPTIONS = [dict(lr=0.1), dict(lr=0.03, betas=(0.0, 0.5), eps=1e-3)]
RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(SIZE, EMBED))
BATCHES = [RANDOM.integers(0, SIZE - 1, 7) for _ in range(STEPS)]  # rows repeat, the last is never there


def of_torch(options: dict) -> np.ndarray:
    embedding = torch.nn.Embedding.from_pretrained(torch.tensor(TABLE), freeze=False, sparse=True)
    optimizer = torch.optim.SparseAdam(embedding.parameters(), **options)
    for rows in BATCHES:
        optimizer.zero_grad()
        embedding(torch.tensor(rows)).pow(3).sum().backward()
        optimizer.step()
    return embedding.weight.detach().numpy()


def of_jax(optimizer: optim.SparseAdam) -> np.ndarray:
    table = jnp.asarray(TABLE)
    state = optimizer.init(table)
    step = jax.jit(optimizer.update)
    for rows in map(jnp.asarray, BATCHES):
        table, state = step(table, state, rows, jax.grad(lambda vectors: (vectors**3).sum())(table[rows]))
    return np.asarray(table)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_twelve_steps_agree(options: dict):
    ours = of_jax(optim.SparseAdam(**options))
    np.testing.assert_allclose(ours, of_torch(options), rtol=1e-12)
    np.testing.assert_array_equal(ours[-1], TABLE[-1])


@pytest.mark.parametrize("other", [dict(eps=1e-2), dict(betas=(0.9, 0.99)), dict(lr=0.1001)], ids=str)
def test_control_another_option_parts(other: dict):
    ours = of_jax(replace(optim.SparseAdam(0.1), **other))
    assert np.abs(ours - of_torch(dict(lr=0.1))).max() > 1e-6


@pytest.mark.slow
def test_gradients_of_equal_rows_are_added_up():
    rows, gradients = summed(jnp.array([4, 1, 4]), jnp.array([[1.0], [2.0], [4.0]]), SIZE)
    assert rows.tolist() == [1, 4, SIZE]
    assert gradients.tolist() == [[2], [5], [0]]


def test_a_donated_step_copies_no_table():
    optimizer = optim.SparseAdam()
    table = jax.ShapeDtypeStruct((50_000, 16), jnp.float32)
    state = jax.eval_shape(optimizer.init, table)
    batch = jax.ShapeDtypeStruct((8,), jnp.int32), jax.ShapeDtypeStruct((8, 16), jnp.float32)
    step = jax.jit(optimizer.update, donate_argnums=(0, 1)).lower(table, state, *batch).compile()
    memory = step.memory_analysis()
    assert memory.temp_size_in_bytes < table.size  # bytes; the table has four times as many
    assert memory.alias_size_in_bytes >= 3 * 4 * table.size


@pytest.mark.parametrize("options", [dict(lr=0.0), dict(eps=0.0), dict(betas=(1.0, 0.9))], ids=str)
def test_options_outside_their_ranges_are_refused(options: dict):
    with pytest.raises(InputError, match="above 0|below 1"):
        optim.SparseAdam(**options)


@pytest.mark.slow
def test_rows_below_0_count_from_the_end_and_those_past_it_are_left_out():
    table, optimizer = jnp.asarray(TABLE), optim.SparseAdam(0.1)
    gradients = jnp.asarray(RANDOM.normal(size=(4, EMBED)))
    given, state = optimizer.update(table, optimizer.init(table), jnp.array([-1, SIZE - 1, SIZE + 3, 0]), gradients)
    rows = jnp.array([SIZE - 1, SIZE - 1, 0])
    plain, _ = optimizer.update(table, optimizer.init(table), rows, gradients[jnp.array([0, 1, 3])])
    np.testing.assert_array_equal(given, plain)
    with pytest.raises(InputError, match="must be above 0"):
        optim.SparseAdam(lr=float("nan"))
