"""A moving average of a model's weights, which is what an adversarial generator is shown by."""

from typing import Any

import jax
import jax.numpy as jnp


def ema_decay(half_life: float) -> float:
    """Returns the decay of an average in which a weight of `half_life` steps ago counts half: 0.5^(1 / half_life)."""
    return 0.5 ** (1 / half_life)


def moved_average(average: Any, now: Any, decay: float) -> Any:
    """Returns decay times the average plus (1 - decay) times the weights or buffers of now.

    It starts as a copy of the first weights; integers, as counts of batches, are those of now. The model itself stays
    as it is, and holds what it likes: `nnx.EMA` fails on one that holds random keys.
    """

    def leaf(old: jax.Array, new: jax.Array) -> jax.Array:
        return decay * old + (1 - decay) * new if jnp.issubdtype(new.dtype, jnp.floating) else new

    return jax.tree.map(leaf, average, now)
