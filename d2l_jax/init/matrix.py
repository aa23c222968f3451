"""Initialisers that treat the kernel as a matrix."""

import math

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.nn.initializers import Initializer


def orthogonal(gain: float = 1.0) -> Initializer:
    """An initialiser of orthogonal kernels, drawn uniformly (Saxe et al. 2014; signs after Mezzadri 2007).

    The matrix (out, window * in) has orthogonal rows of length `gain`, or columns if there are more rows than columns.

    Raises, when called: ValueError for a shape of less than 2 axes.
    """
    return initializers.orthogonal(scale=gain, column_axis=-1)


def sparse(sparsity: float, std: float = 0.01) -> Initializer:
    """An initialiser from N(0, std**2), with a share `sparsity` of the outputs of every input 0 (Martens 2010).

    The share is rounded up; the shape is (in, out).
    Raises: ValueError unless 0 <= sparsity <= 1 and, when called, the shape has 2 axes.
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must lie between 0 and 1, got {sparsity}")

    def init(key, shape, dtype=None, out_sharding=None):
        if len(shape) != 2:
            raise ValueError(f"sparse wants a shape (in, out), got {tuple(shape)}")
        draw, choose = jax.random.split(key)
        ranks = jnp.broadcast_to(jnp.arange(shape[1]), shape)
        ranks = jax.random.permutation(choose, ranks, axis=1, independent=True)
        return jnp.where(ranks < math.ceil(sparsity * shape[1]), 0, std * jax.random.normal(draw, shape, dtype))

    return init
