"""Corrections for averages that begin at 0."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def one_minus_power(beta: float, step: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, ""]:
    """The bias correction 1 - beta**step, computed in float32 at least: bfloat16 cannot count to 257."""
    if beta == 0:
        return jnp.ones((), dtype)
    return -jnp.expm1(step.astype(wide(dtype)) * math.log(beta)).astype(dtype)


def wide(dtype: jnp.dtype) -> np.dtype:
    """Returns the dtype in which counts of updates are computed with: float32 at least."""
    return np.promote_types(dtype, np.float32)
