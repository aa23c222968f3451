"""Dropout within attention: masks of (batch, heads, queries, keys), or one for all."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("f4")


class Attention(nnx.Module):
    def __init__(self, broadcast: bool):
        options = {"dropout_rate": 0.3, "broadcast_dropout": broadcast, "decode": False}
        self.attention = nnx.MultiHeadAttention(2, 8, rngs=nnx.Rngs(0), **options)

    def __call__(self, x):
        return self.attention(x)


class TorchAttention(torch.nn.Module):
    """`weights`: returned by PyTorch, whose masks have the heads of all examples along one axis then."""

    def __init__(self, weights: bool = False):
        super().__init__()
        self.weights = weights
        self.attention = torch.nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.weights)[0]


@pytest.mark.slow
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("broadcast", [False, True])
def test_one_mask_for_the_whole_batch_is_named_and_the_rest_is_compared(broadcast, weights):
    result = parity.check(Attention(broadcast), TorchAttention(weights), X, steps=1)
    wrong = [row.name for rows in result.rows.values() for row in rows if not row.passed]
    assert wrong == (["attention.dropout"] if broadcast else [])
    assert result.status == ("fail" if broadcast else "pass")
    if result.blame:
        assert result.blame.cause == "broadcast-dropout"
        assert "broadcast_dropout=True" in result.blame.text


class Embeddings(nnx.Module):
    """Takes positions and types, which have one shape, in another order than PyTorch's."""

    def __init__(self, rngs: nnx.Rngs):
        self.positions = nnx.Embed(7, 4, rngs=rngs)
        self.types = nnx.Embed(7, 4, rngs=rngs)

    def __call__(self, types, positions):
        return self.types(types) * self.positions(positions)


class TorchEmbeddings(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.positions = torch.nn.Embedding(7, 4)
        self.types = torch.nn.Embedding(7, 4)

    def forward(self, positions, types):
        return self.types(types) * self.positions(positions)


class Net(nnx.Module):
    def __init__(self, wrong: bool, rngs: nnx.Rngs):
        self.embeddings = Embeddings(rngs)
        self.last = nnx.Linear(4, 3, rngs=rngs)
        self.wrong = wrong

    def __call__(self, positions, types):
        return self.last(self.embeddings(types, positions) + 1e-3 * self.wrong)


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = TorchEmbeddings()
        self.last = torch.nn.Linear(4, 3)

    def forward(self, positions, types):
        return self.last(self.embeddings(positions=positions, types=types))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True])
def test_arguments_of_one_shape_are_paired_by_their_names(wrong):
    random = np.random.default_rng(0)
    ids = random.integers(0, 7, (3, 5)), random.integers(0, 7, (3, 5))
    result = parity.check(Net(wrong, nnx.Rngs(0)), TorchNet(), ids, steps=1)
    assert result.status == ("fail" if wrong else "pass")
    if result.blame:
        assert "before last" in result.blame.text, result.blame
