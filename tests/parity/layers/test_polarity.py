"""A mask that is true where PyTorch masks and Flax sees is right where either side reads it its own way."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

TOKENS = np.array([[3, 2, 1, 0, 0], [1, 3, 2, 3, 0], [2, 2, 3, 1, 1]])


class TheirPool(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.score = torch.nn.Linear(4, 2)

    def forward(self, x, pad):
        score = self.score(x).masked_fill(pad[..., None], float("-inf"))
        return score.softmax(1)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.pool = torch.nn.Embedding(4, 4), TheirPool()

    def forward(self, tokens):
        return self.pool(self.embed(tokens) * 2, tokens == 0)


class OurPool(nnx.Module):
    def __init__(self, reads_pad: bool):
        self.score, self.reads_pad = nnx.Linear(4, 2, rngs=nnx.Rngs(0)), reads_pad

    def __call__(self, x, mask):
        seen = ~mask if self.reads_pad else mask
        return nnx.softmax(jnp.where(seen[..., None], self.score(x), -jnp.inf), axis=1)


class Ours(nnx.Module):
    def __init__(self, reads_pad: bool, factor: float):
        self.embed, self.pool = nnx.Embed(4, 4, rngs=nnx.Rngs(0)), OurPool(reads_pad)
        self.factor = factor

    def __call__(self, tokens):
        return self.pool(self.embed(tokens) * self.factor, tokens != 0)


def blamed(reads_pad: bool, factor: float):
    result = parity.check(Ours(reads_pad, factor), Theirs(), TOKENS, steps=1, tiers=("float64",))
    assert result.status == "fail"
    return str(result.blame)


@pytest.mark.slow
def test_a_module_that_reads_its_own_mask_right_is_not_blamed():
    blame = blamed(reads_pad=False, factor=3.7)
    assert "other way round" not in blame and "before pool" in blame


@pytest.mark.slow
def test_a_mask_that_is_read_otherwise_than_it_is_given_is_found():
    assert "other way round" in blamed(reads_pad=True, factor=2.0)
