"""Activations whose slopes are PyTorch's at 0, too."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def leaky_relu(x: Float[Array, "*size"], negative_slope: float = 0.01) -> Float[Array, "*size"]:
    """Returns x where it is above 0, else `negative_slope` times x; PyTorch's `LeakyReLU`.

    At 0 its slope is the negative one, where `jax.nn.leaky_relu` has 1.
    """
    return jnp.where(x > 0, x, negative_slope * x)
