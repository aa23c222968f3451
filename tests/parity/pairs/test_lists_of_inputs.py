"""A batch that is a list: several arguments, one array, or a line that says what to write."""

import warnings

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError
from parity.twin.inputs import Inputs

X = np.ones((4, 5), np.float32)


@pytest.mark.parametrize(
    ("inputs", "shapes"),
    [
        ([X, X[:, 0]], [(4, 5), (4,)]),
        ([torch.tensor(X), np.arange(4)], [(4, 5), (4,)]),
        ([X], [(4, 5)]),
        ([[1.0, 2.0], [3.0, 4.0]], [(2, 2)]),
        ([1.0, 2.0, 3.0], [(3,)]),
        ((X, X), [(4, 5), (4, 5)]),
    ],
)
def test_a_list_of_arrays_are_arguments_and_one_of_numbers_is_an_array(inputs, shapes):
    assert [x.shape for x in Inputs.of(inputs).arrays] == shapes


def test_a_list_of_arrays_of_one_shape_may_be_either_and_the_line_says_what_to_write():
    with pytest.raises(InputError) as error:
        Inputs.of([X, X])
    assert str(error.value) == (
        "inputs are a list of 2 arrays of one shape, (4, 5): tuple(inputs) is right for 2 arguments, np.stack(inputs)"
        " for one"
    )


class Ours(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Embed(7, 3, rngs=rngs)

    def __call__(self, x):
        return self.table(x)


@pytest.mark.slow
def test_no_warning_of_jax_reaches_users_who_have_not_enabled_float64():
    ids = np.random.default_rng(0).integers(0, 7, (4, 2))
    with jax.enable_x64(False), warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        assert parity.check(lambda: Ours(nnx.Rngs(0)), torch.nn.Embedding(7, 3), ids, steps=1).status == "pass"
    assert not [str(each.message) for each in met if "float64" in str(each.message)]
