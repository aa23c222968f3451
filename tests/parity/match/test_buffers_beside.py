"""Buffers of a parameter's shape are not taken for it while parameters are left."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


class Masked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.register_buffer("gain_mask", (torch.arange(4) % 2).float())
        self.scale = torch.nn.Parameter(torch.ones(4))

    def forward(self, x):
        return torch.tanh(self.scale * self.first(x)) * (1 - self.gain_mask)


class Gain(nnx.Module):
    """Has the name of the mask, and forgets it."""

    def __init__(self):
        self.first = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.gain_mask = nnx.Param(jnp.ones(4))

    def __call__(self, x):
        return jnp.tanh(self.gain_mask[...] * self.first(x))


def test_a_parameter_is_a_parameter_whatever_its_name():
    found = map_of(NNXModel(Gain()), Masked(), (X,), (torch.tensor(X),), constants=("gain_mask",))
    assert [leaf.key for leaf in found.leaves] == ["scale", "first.weight", "first.bias"] and not found.agrees
