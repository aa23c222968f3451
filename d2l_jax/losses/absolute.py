"""The absolute value with slope 0 at 0, as in PyTorch; the slope of `jnp.abs` is 1."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def absolute(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The absolute value |x|, with slope 0 at 0; NaN stays NaN."""
    return jnp.where(x == 0, 0, jnp.abs(x))
