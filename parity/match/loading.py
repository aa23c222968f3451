"""Inputs and weights as Flax's model takes them in a run of the search."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.weights.leaf import Leaf, place
from parity.match.torch_layers import Recorded


def in_jax(inputs: tuple) -> tuple:
    """Returns the inputs in float64, as arrays of JAX's, integers too: some models look whether they are."""
    floating = (np.issubdtype(x.dtype, np.floating) for x in inputs)
    return tuple(jax.device_put(x.astype(np.float64) if real else x) for x, real in zip(inputs, floating, strict=True))


def loaded(leaves: Sequence[Leaf], recorded: Recorded, start: tuple[dict, dict]) -> tuple[dict, dict]:
    """Returns Flax's parameters and buffers with PyTorch's numbers."""
    params, buffers = start
    trained = [leaf for leaf in leaves if leaf.trained]
    others = [leaf for leaf in leaves if not leaf.trained]
    arrays = recorded.arrays
    return place(trained, arrays, params, jnp.float64), place(others, arrays, buffers, jnp.float64)
