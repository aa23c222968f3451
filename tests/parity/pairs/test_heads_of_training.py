"""A Linen module starts with the parameters of heads that work in training alone."""

import jax.numpy as jnp
from flax import linen
from jax import Array

from parity.twin.inputs import Inputs
from parity.twin.of_pair import initial_variables


class Ours(linen.Module):
    @linen.compact
    def __call__(self, x: Array, train: bool = True):
        x = linen.Dense(3, name="body")(x)
        return (linen.Dense(2, name="head")(x), linen.Dense(2, name="further")(x)) if train else linen.Dense(2)(x)


def test_the_parameters_of_both_modes_are_there():
    found = initial_variables(Ours(), Inputs.of(jnp.ones((2, 4))), whole=False)["params"]
    assert set(found) == {"body", "head", "further", "Dense_0"}
