"""The order in which examples are visited: one rule for JAX, for PyTorch and for a resumed run."""

from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError


class BatchOrder(NamedTuple):
    """Numbers of the examples in each batch of one epoch; together a permutation of `0 .. n - 1`.

    Attributes:
      full: int32 (n // batch_size, batch_size), the full batches.
      rest: int32 (n % batch_size,), the last and smaller batch; empty where none is left over.
    """

    full: np.ndarray
    rest: np.ndarray

    @property
    def batch_size(self) -> int:
        """Returns the number of examples in the first batch."""
        return self.full.shape[1] if len(self.full) else len(self.rest)


def batch_order(n: int, batch_size: int, *, seed: int, epoch: int, shuffle: bool = True) -> BatchOrder:
    """The numbers of the examples in every batch of one epoch: a pure function of its arguments.

    Args:
      n: number of examples.
      batch_size: from 1 to n.
      seed: the run's seed, 0 or more.
      epoch: number of the epoch, 0 or more; each epoch has another order.
      shuffle: False keeps the order of the data, as for evaluation.

    Raises:
      InputError: `batch_size` is below 1 or above n, or `seed` or `epoch` is negative.
    """
    if not 1 <= batch_size <= n:
        raise InputError(f"batch size {batch_size} does not fit {n} examples; give one from 1 to {n}")
    if seed < 0 or epoch < 0:
        raise InputError(f"seed {seed} and epoch {epoch} must both be 0 or more")
    order = np.random.default_rng([seed, epoch]).permutation(n) if shuffle else np.arange(n)
    order = order.astype(np.int32)
    in_full_batches = n - n % batch_size
    return BatchOrder(order[:in_full_batches].reshape(-1, batch_size), order[in_full_batches:])


def by_width(order: BatchOrder, widths: np.ndarray | None) -> list[tuple[int | None, np.ndarray]]:
    """The same examples in other batches, each of examples of one width: (width, their numbers).

    Batches are full, but for the last one of a width, and come in the order of their first examples. Without `widths`
    they stay as they are, and have None.
    """
    if widths is None:
        return [(None, rows) for rows in [*order.full, *([order.rest] if len(order.rest) else [])]]
    size = order.batch_size
    rows = np.concatenate([order.full.ravel(), order.rest])
    batches = []
    for width in np.unique(widths):
        places = np.flatnonzero(widths[rows] == width)
        batches += [(places[i], int(width), rows[places[i : i + size]]) for i in range(0, len(places), size)]
    return [(width, some) for _, width, some in sorted(batches, key=lambda batch: batch[0])]
