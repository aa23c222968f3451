"""A value that XLA computes once and keeps."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Shaped


def materialised(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """`x`, kept in memory before anything else is done with it; NaN in its first place makes all of it NaN.

    XLA:CPU computes cheap values again wherever they are used, also in the loop of a transposition, which then takes
    two to six times as long; `lax.optimization_barrier` is gone by then. The branches of a condition are kept apart.
    """
    return lax.cond(jnp.all(x.ravel()[:1] <= jnp.inf), lambda x: x, lambda x: x * jnp.nan, x)
