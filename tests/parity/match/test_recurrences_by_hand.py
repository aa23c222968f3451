"""Recurrences that users write by hand against PyTorch's layers: packed, or in two modules for both directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch.nn.utils.rnn import pack_padded_sequence

import parity
from parity.match.torch_layers import NumpyCall

STEPS = 5
INPUTS = np.random.default_rng(0).normal(size=(3, STEPS, 4)).astype(np.float32)
LENGTHS = np.array([2, 5, 1], np.int32)


class GRU(nnx.Module):
    """A loop over all steps, those of the padding too; the hidden bias is within the reset gate."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.hh = nnx.Linear(6, 18, rngs=rngs)
        self.ih = nnx.Linear(4, 18, rngs=rngs)

    def __call__(self, x):
        h = jnp.zeros((len(x), 6))
        outputs = []
        for t in range(STEPS):
            r, z, n = jnp.split(self.ih(x[:, t]), 3, -1)
            r_h, z_h, n_h = jnp.split(self.hh(h), 3, -1)
            z = nnx.sigmoid(z + z_h)
            h = (1 - z) * jnp.tanh(n + nnx.sigmoid(r + r_h) * n_h) + z * h
            outputs.append(h)
        return jnp.stack(outputs, 1), h


class Last(nnx.Module):
    """The state at each sequence's end; or the last of all, which is behind the padding."""

    def __init__(self, at_end=True):
        self.gru = GRU()
        self.head = nnx.Linear(6, 2, rngs=nnx.Rngs(1))
        self.at_end = at_end

    def __call__(self, x, lengths):
        outputs, last = self.gru(x)
        return self.head(outputs[jnp.arange(len(x)), lengths - 1] if self.at_end else last)


class TorchLast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(4, 6, batch_first=True)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.head(self.gru(packed)[1][-1])


def packed(at_end):
    return parity.check(Last(at_end), TorchLast(), (INPUTS, LENGTHS), steps=1, tiers=("float64",))


@pytest.mark.slow
def test_a_loop_over_the_padding_that_takes_each_end_is_right():
    result = packed(at_end=True)
    assert result.status == "pass"
    paths = {leaf.key: leaf.path for leaf in result.weights}
    assert paths["gru.bias_ih_l0"] == ("gru", "ih", "bias")


@pytest.mark.slow
def test_the_state_behind_the_padding_is_named():
    blame = packed(at_end=False).blame
    assert (blame.cause, blame.layer) == ("padding-counted", "")
    assert "before head" in blame.text


def test_zeros_stand_behind_the_ends_in_either_layout():
    valid = np.arange(STEPS) < LENGTHS[:, None]
    call = NumpyCall([INPUTS], INPUTS, valid)
    (zeroed,) = call.without_padding(INPUTS)
    assert not zeroed[0, 2:].any()
    np.testing.assert_array_equal(zeroed[1], INPUTS[1])
    (turned,) = call.without_padding(INPUTS.swapaxes(0, 1))
    np.testing.assert_array_equal(turned.swapaxes(0, 1), zeroed)
    (same,) = NumpyCall([INPUTS], INPUTS).without_padding(INPUTS)
    assert same is INPUTS


class Direction(nnx.Module):
    """Runs one direction of an LSTM, with two biases."""

    def __init__(self, order):
        rngs = nnx.Rngs(0)
        self.wx = nnx.Linear(4, 24, rngs=rngs)
        self.wh = nnx.Linear(6, 24, rngs=rngs)
        self.order = order

    def __call__(self, x):
        def step(carry, x):
            gates = dict(zip(self.order, jnp.split(x + self.wh(carry[0]), 4, -1), strict=True))
            c = nnx.sigmoid(gates["f"]) * carry[1] + nnx.sigmoid(gates["i"]) * jnp.tanh(gates["g"])
            h = nnx.sigmoid(gates["o"]) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((len(x), 6))
        return jax.lax.scan(step, (zero, zero), self.wx(x).swapaxes(0, 1))[1].swapaxes(0, 1)


class BothWays(nnx.Module):
    def __init__(self, order):
        self.ahead = Direction(order)
        self.back = Direction(order)
        self.out = nnx.Linear(12, 2, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.out(jnp.concatenate([self.ahead(x), self.back(x[:, ::-1])[:, ::-1]], -1))


class TorchBothWays(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.out = torch.nn.Linear(12, 2)

    def forward(self, x):
        return self.out(self.lstm(x)[0])


@pytest.mark.slow
def test_a_mistake_in_both_modules_of_one_bidirectional_layer_is_named_in_it():
    result = parity.check(BothWays("igfo"), TorchBothWays(), INPUTS, steps=1, tiers=("float64",))
    assert (result.blame.layer, result.blame.cause) == ("lstm", "gate-order")
