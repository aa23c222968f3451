"""Initialisers that draw nothing; the key is not read."""

import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jax.nn.initializers import constant as constant
from jax.nn.initializers import ones as ones
from jax.nn.initializers import zeros as zeros


def eye(key, shape, dtype=None, out_sharding=None):
    """The identity matrix (in, out), which passes on as many inputs as there are outputs.

    Raises: ValueError for a shape that has not 2 axes.
    """
    if len(shape) != 2:
        raise ValueError(f"eye wants a shape (in, out), got {tuple(shape)}")
    return jnp.eye(*shape, dtype=dtype)


def dirac(groups: int = 1) -> Initializer:
    """An initialiser of kernels (*window, in per group, out) that pass on as many input channels as they can.

    Raises: ValueError unless there are 1 to 3 window axes and `groups` divides out.
    """

    def init(key, shape, dtype=None, out_sharding=None):
        if len(shape) not in (3, 4, 5):
            raise ValueError(f"dirac wants a shape (*window, in, out) with 1 to 3 window axes, got {tuple(shape)}")
        *window, inputs, outputs = shape
        if outputs % groups:
            raise ValueError(f"{groups} groups do not divide {outputs} outputs")
        centre = tuple(size // 2 for size in window)
        one_group = jnp.eye(inputs, outputs // groups, dtype=dtype)
        return jnp.zeros(shape, dtype).at[centre].set(jnp.tile(one_group, (1, groups)))

    return init
