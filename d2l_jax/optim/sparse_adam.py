"""Adam on rows of a table (`torch.optim.SparseAdam`): what it costs grows with the rows of a batch, not with the table.

The gradient of `table[rows]` is as large as the table where the table is differentiated. Here the rows are taken out
first, the loss is differentiated by them, and the table takes their steps back:

    vectors = table[rows]
    gradients = jax.grad(loss)(vectors)
    table, state = optimizer.update(table, state, rows, gradients)

In a jitted step whose table and state are donated, neither is copied.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.optim.bias import one_minus_power

Table = Float[Array, "size embed"]
Rows = Int[Array, " n"]
Vectors = Float[Array, "n embed"]


class SparseAdamState(NamedTuple):
    """The state of SparseAdam under PyTorch's names.

    step:       number of updates so far, int32
    exp_avg:    like the table, the average of the gradient over the updates that touched a row
    exp_avg_sq: like the table, the same of the squared gradient
    """

    step: Int[Array, ""]
    exp_avg: Table
    exp_avg_sq: Table


class Summed(NamedTuple):
    """Different rows, and the sum of the gradients of each; rows past the last are the size of the table."""

    rows: Rows
    gradients: Vectors


@dataclass(frozen=True)
class SparseAdam:
    """Adam on the rows that a batch touches (`torch.optim.SparseAdam`).

    A row that no batch touches keeps its place and its averages, where Adam would move it on; the bias is corrected
    by the number of all updates. `eps` is added before that correction, as PyTorch does.

    Raises InputError for a rate, an `eps` or betas outside of their ranges.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.eps > 0):
            raise InputError(f"lr {self.lr} and eps {self.eps} must be above 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas {self.betas} must be at least 0 and below 1")

    def init(self, table: Table) -> SparseAdamState:
        """Returns the state before the first update."""
        return SparseAdamState(jnp.zeros((), jnp.int32), jnp.zeros_like(table), jnp.zeros_like(table))

    def update(
        self, table: Table, state: SparseAdamState, rows: Rows, gradients: Vectors
    ) -> tuple[Table, SparseAdamState]:
        """Returns table and state after a step; rows may repeat, their gradients are added up first.

        Rows below 0 count from the end, as in `table[rows]`; those past the end are left out.
        """
        rows, gradients = summed(rows, gradients, len(table))
        first, second = self.betas
        step = state.step + 1
        averages = taken(state.exp_avg, rows) * first + (1 - first) * gradients
        squares = taken(state.exp_avg_sq, rows) * second + (1 - second) * gradients**2
        rate = (
            self.lr * jnp.sqrt(one_minus_power(second, step, table.dtype)) / one_minus_power(first, step, table.dtype)
        )
        moved = taken(table, rows) - rate * averages / (jnp.sqrt(squares) + self.eps)
        slots = (put(state.exp_avg, rows, averages), put(state.exp_avg_sq, rows, squares))
        return put(table, rows, moved), SparseAdamState(step, *slots)


def summed(rows: Rows, gradients: Vectors, size: int) -> Summed:
    """Adds up the gradients of equal rows: each row once, in order; the shape stays, so that a step compiles once."""
    rows = jnp.minimum(jnp.where(rows < 0, rows + size, rows), size)
    distinct, places = jnp.unique(rows, return_inverse=True, size=len(rows), fill_value=size)
    return Summed(distinct, jax.ops.segment_sum(gradients, places, num_segments=len(rows)))


def taken(table: Table, rows: Rows) -> Vectors:
    """Returns the rows of a table, zeros for rows past its end."""
    return table.at[rows].get(mode="fill", fill_value=0, indices_are_sorted=True)


def put(table: Table, rows: Rows, values: Vectors) -> Table:
    """Returns the table with other values in different rows; rows past its end are left out."""
    return table.at[rows].set(values, mode="drop", indices_are_sorted=True)
