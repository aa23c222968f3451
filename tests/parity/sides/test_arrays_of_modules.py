"""Modules that keep arrays which are no variables, as the mask of a convolution, are made with their values."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity.twin.of_pair import _module_of

MASK = np.ones((3, 4, 5), np.float32)


class Masked(nnx.Module):
    def __init__(self, mask):
        self.conv = nnx.Conv(4, 5, (3,), mask=None if mask is None else jnp.asarray(mask), rngs=nnx.Rngs(0))


class Closed(nnx.Module):
    def __init__(self):
        table = jnp.arange(3.0)
        self.function = lambda x: x * table


def test_a_kept_array_has_its_value():
    assert np.array_equal(np.asarray(_module_of(lambda: Masked(MASK), whole=False).conv.mask), MASK)
    assert np.asarray(_module_of(closed, whole=False).function(2.0)).tolist() == [0.0, 2.0, 4.0]


def test_control_parameters_alone_stay_shapes():
    assert isinstance(_module_of(lambda: Masked(None), whole=False).conv.kernel.get_value(), jax.ShapeDtypeStruct)


def closed():
    return Closed()
