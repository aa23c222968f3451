"""Sums of many rows: the program with which jaxlib 0.10.2's own options give wrong rows is proved right here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

ROWS = 40_000  # wrong from row 16,384 on in float64


class Squares(nnx.Module):
    """The squared length of a constant matrix times each row."""

    def __call__(self, x):
        matrix = jnp.eye(3, dtype=x.dtype)
        return jax.vmap(lambda row: jnp.sum(jnp.square(matrix @ row)))(x)


class SquaresTorch(torch.nn.Module):
    def forward(self, x):
        return torch.square(x @ torch.eye(3, dtype=x.dtype)).sum(-1)


class Doubled(Squares):
    def __call__(self, x):
        return 2 * super().__call__(x)


@pytest.mark.slow
def test_a_right_pair_of_many_rows_passes_and_a_wrong_one_does_not():
    rows = np.arange(3 * ROWS, dtype=np.float32).reshape(ROWS, 3) / ROWS
    right = parity.check(Squares(), SquaresTorch(), rows, steps=1)
    wrong = [row for tier in right.rows.values() for row in tier if not row.passed and row.key.phase != "compiled"]
    assert right.rows and not wrong  # `jax.jit` by itself is wrong there: see test_compiled.py
    assert parity.check(Doubled(), SquaresTorch(), rows, steps=1).status == "fail"
