"""A step over a whole sequence, and the ends of sequences."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.nn.recurrent.residuals import SAVE_RESIDUALS

Valid = Bool[Array, "steps batch 1"]


def scan_steps(
    step: Callable[[Array, Any], Any],
    inputs: Float[Array, "steps batch features"],
    state: Any,
    valid: Valid | None = None,
    *,
    reverse: bool = False,
) -> tuple[Any, Float[Array, "steps batch hidden"]]:
    """(last state, H of every step) of `step`: (x, state) -> state, whose first array is H.

    Where a step is not valid, the state stays what it was and H is 0. Residuals are what `step` marks as
    `residual` or `copied_residual`; all else, products too, is rematerialised.
    """

    # Both products of a step stay in here: that of the inputs for all steps at once trains more slowly on a CPU.
    rematerialised = jax.checkpoint(step, policy=SAVE_RESIDUALS, prevent_cse=False)

    def body(before: Any, now: tuple[Array, Array | None]) -> tuple[Any, Array]:
        x, inside = now
        after = rematerialised(x, before)
        H = jax.tree.leaves(after)[0]
        if inside is None:
            return after, H
        return jax.tree.map(partial(jnp.where, inside), after, before), jnp.where(inside, H, 0)

    return lax.scan(body, state, (inputs, valid), reverse=reverse)


def valid_steps(seq_lengths: Int[Array, "..."], steps: int, batch: int) -> Valid:
    """True where a step lies within its sequence, of `seq_lengths[i]` steps.

    Raises InputError where there is not one length for each sequence, or a length is not from 1 to `steps`. Traced
    lengths have no values to check: all steps are valid where one is above `steps`, none where it is below 1.
    """
    if seq_lengths.shape != (batch,):
        raise InputError(f"seq_lengths of shape {seq_lengths.shape} where ({batch},), the batch, is right")
    if not isinstance(seq_lengths, Tracer):
        known = np.asarray(seq_lengths)  # jnp would trace what is known, too
        if ((known < 1) | (known > steps)).any():
            raise InputError(f"seq_lengths {known.tolist()} where 1 to {steps}, the number of steps, is right")
    return jnp.arange(steps)[:, None, None] < seq_lengths.astype(int)[None, :, None]
