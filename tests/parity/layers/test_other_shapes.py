"""Layers whose tensors have other axes in Flax: states without an axis of layers, heads apart, an embedding as head."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from matching import R

import parity
from parity.arrays.layout import squeezed
from parity.layers.ports import Mismatch, features_joined, matched

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)


class LSTM(nnx.Module):
    """Hands on its state as Flax's cells do, (c, h), or as PyTorch's layers."""

    def __init__(self, flax_order):
        self.wx = nnx.Linear(4, 24, rngs=R)
        self.wh = nnx.Linear(6, 24, rngs=R)
        self.order = slice(None, None, -1 if flax_order else 1)

    def __call__(self, x, state=None):
        zero = jnp.zeros((len(x), 6), x.dtype)
        inputs = self.wx(x).swapaxes(0, 1)

        def step(carry, x):
            i, f, g, o = jnp.split(x + self.wh(carry[0]), 4, -1)
            c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        last, outputs = jax.lax.scan(step, (zero, zero) if state is None else state[self.order], inputs)
        return outputs.swapaxes(0, 1), last[self.order]


class Translator(nnx.Module):
    def __init__(self, flax_order=False, dropped=None):
        self.enc = LSTM(flax_order)
        self.dec = LSTM(flax_order)
        self.dropped = dropped

    def __call__(self, x):
        state = list(self.enc(x)[1])
        if self.dropped is not None:
            state[self.dropped] = jnp.zeros_like(state[self.dropped])
        return self.dec(x[:, ::-1], tuple(state))[0]


class TorchTranslator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = torch.nn.LSTM(4, 6, batch_first=True)
        self.dec = torch.nn.LSTM(4, 6, batch_first=True)

    def forward(self, x):
        return self.dec(x.flip(1), self.enc(x)[1])[0]


def checked(ours):
    return parity.check(ours, TorchTranslator(), X, steps=1, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize("flax_order", [False, True])
def test_a_layer_with_states_is_compared_on_its_own(flax_order):
    result = checked(Translator(flax_order))
    result.raise_if_failed()
    assert not result.skipped
    assert {"enc", "dec"} <= {row.key.layer for row in result.rows["float64"]}


def test_a_state_that_is_not_handed_on_is_named():
    result = checked(Translator(dropped=1))
    assert result.blame is not None
    assert result.blame.cause == "wiring"
    assert "before dec: Flax gives dec zeros, PyTorch what enc returns" in result.blame.text


class Heads(nnx.Module):
    def __init__(self, scale=1.0):
        self.split = nnx.LinearGeneral(4, (2, 3), rngs=R)
        self.join = nnx.LinearGeneral((2, 3), 4, axis=(-2, -1), rngs=R)
        self.scale = scale

    def __call__(self, x):
        return self.join(jnp.tanh(self.split(x))) * self.scale


class TorchHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.split = torch.nn.Linear(4, 6)
        self.join = torch.nn.Linear(6, 4)

    def forward(self, x):
        return self.join(torch.tanh(self.split(x)))


class Einsum(nnx.Module):
    """A dense layer of a user's own, with heads as an axis."""

    def __init__(self, equation, shape):
        self.equation, self.w = equation, nnx.Param(R.params.normal(shape))

    def __call__(self, x):
        return jnp.einsum(self.equation, x, self.w[...])


class EinsumHeads(nnx.Module):
    def __init__(self, behind="btnh"):
        self.split, self.join = Einsum(f"btd,dnh->{behind}", (4, 2, 3)), Einsum(f"{behind},nhd->btd", (2, 3, 4))

    def __call__(self, x):
        return self.join(jnp.tanh(self.split(x)))


class PlainTorchHeads(TorchHeads):
    def __init__(self):
        super().__init__()
        self.split, self.join = torch.nn.Linear(4, 6, bias=False), torch.nn.Linear(6, 4, bias=False)


def test_einsums_of_heads_are_compared_with_flat_layers():
    result = parity.check(EinsumHeads(), PlainTorchHeads(), X, steps=1, tiers=("float64",))
    assert result.status == "pass" and not result.skipped


@pytest.mark.slow
def test_control_einsums_with_heads_before_the_time_are_compared_in_the_model():
    result = parity.check(EinsumHeads("bnth"), PlainTorchHeads(), X, steps=1, tiers=("float64",))
    assert result.status == "pass" and {*result.skipped} == {"split", "join"}


def test_features_may_have_two_axes_and_rows_keep_theirs():
    joined = partial(features_joined, rows=2)
    assert list(matched([("x", (3, 7, 4, 8))], [("input", (3, 7, 32))], flat=joined)) == [(0, (0, 1, 2))]
    for shape in ((3, 4, 7, 8), (3, 7, 7, 8)):  # the second may be either
        with pytest.raises(Mismatch):
            list(matched([("x", shape)], [("input", (3, 7, shape[1] * shape[-1]))], flat=joined))


@pytest.mark.slow
def test_dense_layers_of_heads_are_compared_with_flat_ones():
    result = parity.check(Heads(), TorchHeads(), X, steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert {row.key.layer for row in result.rows["float64"]} >= {"split", "join"}
    assert parity.check(Heads(1.5), TorchHeads(), X, steps=1, tiers=("float64",)).status == "fail"


class Tied(nnx.Module):
    def __init__(self):
        self.embed = nnx.Embed(7, 4, rngs=R)

    def __call__(self, x):
        return self.embed.attend(self.embed(x))


class TorchTied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(7, 4)
        self.head = torch.nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.embed(x))


def test_the_head_that_is_an_embedding_says_so():
    result = parity.check(Tied(), TorchTied(), np.array([[1, 2, 3], [4, 5, 6]]), steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert "attend" in result.skipped["head"]


def test_other_axes_than_those_of_size_1_are_not_left_out():
    assert list(matched([("state", (3, 6))], [("hx", (1, 3, 6))], flat=squeezed)) == [(0, (0, 1, 2))]
    with pytest.raises(Mismatch):
        list(matched([("state", (3, 6))], [("hx", (2, 3, 6))], flat=squeezed))
    with pytest.raises(Mismatch):  # a mask
        list(matched([("mask", (3, 6))], [("mask", (3, 1, 1, 6))]))


class Causal(nnx.Module):
    """`cubed` is a mistake of the body's, "SAME" one of the layer's, behind which the body is the same."""

    def __init__(self, padding="CAUSAL", cubed=False):
        self.conv = nnx.Conv(4, 6, (3,), padding=padding, rngs=R)
        self.out = nnx.Linear(6, 2, rngs=R)
        self.cubed = cubed

    def __call__(self, x):
        y = jnp.tanh(self.conv(x))
        return self.out(y**3 if self.cubed else y)


class TorchCropped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(4, 6, 3, padding=2)
        self.out = torch.nn.Linear(6, 2)

    def forward(self, x):
        y = self.conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.out(torch.tanh(y))


@pytest.mark.slow
@pytest.mark.parametrize("ours, place", [(Causal(), ""), (Causal(cubed=True), "before out"), (Causal("SAME"), "conv")])
def test_a_result_that_is_cropped_later_is_no_misfit(ours, place):
    result = parity.check(ours, TorchCropped(), X, steps=1, tiers=("float64",))
    assert result.status == ("fail" if place else "pass")
    if place:
        assert result.blame and place in str(result.blame), result.blame
        assert (result.blame.layer == "conv") == (place == "conv"), result.blame
