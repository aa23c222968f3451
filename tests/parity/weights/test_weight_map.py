"""The map of a pair whose names agree, but for a constant."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from parity.models.nnx_model import NNXModel
from parity.twin.inputs import Inputs
from parity.twin.weight_map import weight_map

X = np.ones((5, 3), np.float32)


class Waves(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("freqs", torch.randn(3))

    def forward(self, x):
        return torch.cos(self.freqs * x)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.waves, self.fc = Waves(), torch.nn.Linear(3, 4)

    def forward(self, x):
        return self.fc(self.waves(x))


class Ours(nnx.Module):
    def __init__(self, name: str):
        self.fc, self.name = nnx.Linear(3, 4, rngs=nnx.Rngs(0)), name
        setattr(self, name, nnx.Variable(jnp.ones(3)))

    def __call__(self, x):
        return self.fc(jnp.cos(getattr(self, self.name)[...] * x))


@pytest.mark.parametrize("name, key", [("freqs", "waves.freqs"), ("table", None)], ids=["", "control: another table"])
def test_a_constant_of_one_name_is_one_though_it_stands_in_another_module(name, key):
    model = Ours(name)
    leaves = weight_map(NNXModel(model), model, Theirs(), Inputs.of(X), None).leaves
    assert {leaf.path: leaf.key for leaf in leaves}.get((name,)) == key and len(leaves) == 3 - (key is None)
