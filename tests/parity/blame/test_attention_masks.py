"""Masks of attention on either side, and dropout that goes on in evaluation."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from torch.nn import functional as F

import parity
from parity.blame.diagnosis import explain_layer
from parity.layers.masks import mask_of

WORDS = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
PADDING = np.arange(5) >= np.array([[5], [3], [4]])


class Attending(linen.Module):
    inverted: bool = False

    @linen.compact
    def __call__(self, x, padding):
        seen = padding if self.inverted else ~padding
        y = linen.MultiHeadDotProductAttention(num_heads=2, name="attention")(x, x, mask=seen[:, None, None, :])
        return linen.LayerNorm(epsilon=1e-5, name="norm")(x + y)


class TorchAttending(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = torch.nn.LayerNorm(8)

    def forward(self, x, padding):
        return self.norm(x + self.attention(x, x, x, key_padding_mask=padding, need_weights=False)[0])


@pytest.mark.slow
def test_an_attention_with_a_padding_mask_is_compared_on_its_own():
    result = parity.check(Attending(), TorchAttending(), (WORDS, PADDING), steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert not result.skipped
    assert {row.key.layer for row in result.rows["float64"] if row.key.layer} == {"attention", "norm"}


@pytest.mark.parametrize("shape", [(3, 1, 5, 5), (1, 1, 5, 5), (3, 2, 5, 5)])
def test_a_mask_of_queries_and_keys_is_turned_into_flaxs_shape(shape):
    theirs = torch.nn.MultiheadAttention(8, 2)
    ours = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=nnx.Rngs(0))
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for mask in (future, torch.zeros(5, 5).masked_fill(future, -torch.inf)):
        pair = mask_of(theirs, ours, [("query", torch.ones(1)), ("attn_mask", mask)], [("mask", shape)])
        assert (pair.place, pair.source) == (0, 1)
        np.testing.assert_array_equal(pair.turned(mask.numpy()), np.broadcast_to(np.tri(5, dtype=bool), shape))
    assert mask_of(theirs, ours, [("attn_mask", future), ("key_padding_mask", future)], [("mask", shape)]) is None
    assert mask_of(theirs, ours, [("attn_mask", future)], [("mask", (3, 1, 4, 4))]) is None
    assert mask_of(theirs, ours, [("attn_mask", -torch.ones(5, 5))], [("mask", shape)]) is None


@pytest.mark.slow
def test_a_padding_mask_the_other_way_round_is_named():
    blame = parity.check(Attending(True), TorchAttending(), (WORDS, PADDING), steps=1, tiers=("float64",)).blame
    assert (blame.layer, blame.cause) == ("attention", "mask-polarity")


def test_a_mask_that_is_added_is_turned_round_too():
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    x = torch.tensor(WORDS, dtype=torch.float64)
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    past = torch.zeros(5, 5, dtype=torch.float64).masked_fill(~future, torch.finfo(torch.float64).min / 4)
    flax = attention(x, x, x, attn_mask=past, need_weights=False)[0].detach().numpy()

    class Causal(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, x, x, attn_mask=future, need_weights=False)[0]

    cause = explain_layer(Causal(), (x,), {}, flax, training=False)
    assert cause and (cause.name, cause.part) == ("mask-polarity", "attention")


class Dropping(linen.Module):
    deterministic: bool = False

    @linen.compact
    def __call__(self, x):
        scores = linen.softmax(jnp.einsum("bqf,bkf->bqk", x, linen.Dense(8, name="key")(x)))
        dropped = linen.Dropout(0.4, deterministic=self.deterministic)(scores)
        return linen.Dense(8, name="out")(jnp.einsum("bqk,bkf->bqf", dropped, x))


class TorchDropping(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.key = torch.nn.Linear(8, 8)
        self.out = torch.nn.Linear(8, 8)

    def forward(self, x):
        scores = torch.softmax(x @ self.key(x).transpose(1, 2), -1)
        return self.out(F.dropout(scores, 0.4, self.training) @ x)


@pytest.mark.slow
def test_dropout_that_is_never_told_that_nothing_is_trained_is_named():
    result = parity.check(Dropping(), TorchDropping(), WORDS, steps=1, tiers=("float64",))
    assert {row.key.phase for row in result.rows["float64"] if not row.passed} == {"evaluation"}
    assert result.blame.cause == "dropout-in-evaluation"
    assert "(3, 5, 5) in Dropout_0" in result.blame.text
