"""Layers whose own results do not show their cause, and mistakes that are in several modules alike."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(5, 7), torch.nn.Linear(7, 5)

    def forward(self, x):
        return torch.relu(self.second(torch.relu(self.first(x))) + x)


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.last = TorchBlock(), torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.last(self.block(x))


class Block(nnx.Module):
    """Its weights are all within a part that ends before the sum."""

    def __init__(self, end, rngs):
        self.body = nnx.Sequential(nnx.Linear(5, 7, rngs=rngs), nnx.relu, nnx.Linear(7, 5, rngs=rngs))
        self.end = end

    def __call__(self, x):
        return self.end(self.body(x) + x)


class Net(nnx.Module):
    def __init__(self, end, rngs):
        self.block, self.last = Block(end, rngs), nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.block(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    "end, cause", [(lambda x: x, "activation-missing"), (lambda x: nnx.relu(x) + 0.1 * x**3, ""), (nnx.relu, None)]
)
def test_a_block_is_explained_by_what_the_next_layer_is_given(end, cause):
    result = parity.check(Net(end, nnx.Rngs(0)), TorchNet(), X, steps=1, tiers=("float64",))
    assert (result.blame and result.blame.cause) == cause, result.blame
    assert not cause or (result.blame and result.blame.layer.startswith("block")), result.blame
