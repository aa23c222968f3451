"""A recurrent layer of PyTorch's that a decoder calls for one step after the other, beside a cell of Flax's."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity

X = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
CELLS = {"GRU": linen.GRUCell, "LSTM": linen.OptimizedLSTMCell}


class Decoder(linen.Module):
    kind: str
    feeds: bool = True

    @linen.compact
    def __call__(self, x):
        h, keys = linen.RNN(CELLS[self.kind](5, name="encoder"), return_carry=True)(x)
        cell, out, y, outs = CELLS[self.kind](5, name="decoder"), linen.Dense(2, name="out"), x[:, 0], []
        for at in range(x.shape[1]):
            h, o = cell(h, jnp.concatenate([y, keys.mean(1)], axis=-1))
            outs.append(out(o))
            y = outs[-1] if self.feeds else x[:, at]
        return jnp.stack(outs, axis=1)


class TorchDecoder(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        layer = getattr(torch.nn, kind)
        self.encoder, self.decoder = layer(2, 5, batch_first=True), layer(7, 5, batch_first=True)
        self.out = torch.nn.Linear(5, 2)

    def forward(self, x):
        keys, state = self.encoder(x)
        y, outs = x[:, :1], []
        for _ in range(x.shape[1]):
            o, state = self.decoder(torch.cat([y, keys.mean(1, keepdim=True)], -1), state)
            y = self.out(o)
            outs.append(y)
        return torch.cat(outs, 1)


@functools.cache
def checked(kind, feeds):
    return parity.check(Decoder(kind, feeds), TorchDecoder(kind), X, steps=1, tiers=("float64",), layers=False)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_is_paired_with_it(kind):
    result = checked(kind, feeds=True)
    assert result.status == "pass", result.blame


@pytest.mark.slow
def test_control_a_decoder_that_is_fed_something_else():
    assert checked("GRU", feeds=False).status == "fail"
