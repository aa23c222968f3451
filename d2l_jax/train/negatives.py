"""Items that a user has not rated, drawn anew in every step, on the device (book, section 21.6)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from d2l_jax.errors import InputError
from d2l_jax.train.epoch import Prepare
from d2l_jax.turns import Tensors


def fresh_negatives(pool: Int[Any, "users widest"], seed: int = 0) -> Prepare:
    """Returns (number of the step, batch) -> the batch with other "targets", for `make_epoch` of a ranking.

    Each is any of the items of its user's row of the pool, with the same probability: one number is drawn for it, and
    nothing is drawn again.

    pool: of each user the items to draw from, -1 behind them, as `Dataset.pool`

    Raises InputError where a user has no item to draw.
    """
    counts = (np.asarray(pool) >= 0).sum(1)
    if not counts.all():
        raise InputError(
            f"user {int(np.argmin(counts)) + 1} has no item to draw from; one or more of every user is right"
        )
    table = jnp.asarray(pool, jnp.int32)
    sizes = jnp.asarray(counts, jnp.int32)
    key = jax.random.key(seed)

    def prepare(step: Int[Array, ""] | int, batch: Tensors) -> Tensors:
        users = batch["input"][0][:, None]
        share = jax.random.uniform(jax.random.fold_in(key, step), batch["targets"].shape, jnp.float32)
        size = sizes[users]
        place = jnp.minimum((share * size.astype(jnp.float32)).astype(jnp.int32), size - 1)
        return batch | {"targets": table[users, place]}

    return prepare
