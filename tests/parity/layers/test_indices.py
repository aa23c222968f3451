"""A table that is given tokens in PyTorch, which makes positions of them, and positions in Flax is compared whole."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

TOKENS = np.random.default_rng(0).integers(0, 30, (3, 5))


class Positions(torch.nn.Embedding):
    def forward(self, input):
        places = torch.arange(input.shape[1]) + 2
        return super().forward(places.expand(input.shape))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places, self.out = torch.nn.Embedding(30, 4), Positions(8, 4), torch.nn.Linear(4, 2)

    def forward(self, tokens):
        return self.out(self.tokens(tokens) * self.places(tokens))


class Ours(nnx.Module):
    def __init__(self, offset: int):
        rngs = nnx.Rngs(0)
        self.tokens, self.places = nnx.Embed(30, 4, rngs=rngs), nnx.Embed(8, 4, rngs=rngs)
        self.out, self.offset = nnx.Linear(4, 2, rngs=rngs), offset

    def __call__(self, tokens):
        places = jnp.broadcast_to(jnp.arange(tokens.shape[1]) + self.offset, tokens.shape)
        return self.out(self.tokens(tokens) * self.places(places))


@pytest.mark.parametrize(("offset", "status"), [(2, "pass"), (1, "fail")])
def test_positions_are_compared_in_the_model(offset, status):
    result = parity.check(Ours(offset), Theirs(), TOKENS, steps=1, tiers=("float64",))
    assert result.status == status
    assert status == "fail" or list(result.skipped) == ["places"]
