"""Single numbers that are left without a partner have no rows that arrays could make up."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from d2l_jax.errors import InputError
from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


class TorchScaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.scale * x


class Shifted(nnx.Module):
    def __init__(self):
        self.gain, self.shift = nnx.Param(jnp.ones(4)), nnx.Param(jnp.zeros(4))

    def __call__(self, x):
        return self.gain[...] * x + self.shift[...]


def test_a_single_number_is_made_up_of_no_arrays():
    with pytest.raises(InputError, match=r"only in PyTorch: scale \(\); only in Flax: gain \(4,\)"):
        map_of(NNXModel(Shifted()), TorchScaled(), (X,), (torch.tensor(X),))
