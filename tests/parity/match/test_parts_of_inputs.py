"""One layer of an input and a state together, and two layers whose results are added: in a cell, of either side."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
CLIP = np.random.default_rng(0).normal(size=(2, 2, 5, 4, 6)).astype(np.float32)

OTHER = ((1, 1), (2, 0))  # as much padding, but elsewhere


class Theirs(torch.nn.Module):
    """A cell with one layer of its input and its state together, or with two; `state_first`: in that order."""

    def __init__(self, one, images, size=4, state_first=False):
        super().__init__()

        def layer(inputs, bias=True):
            if images:
                return torch.nn.Conv2d(inputs, 2 * size, 3, padding=1, bias=bias)
            return torch.nn.Linear(inputs, 2 * size, bias)

        if one:
            self.gates = layer(6 + size)
        else:
            self.wx, self.wh = layer(6), layer(size, False)
        self.head = torch.nn.Linear(size, 3)
        self.one, self.size, self.state_first = one, size, state_first

    def forward(self, x):
        x = x.movedim(1, 2) if x.ndim > 3 else x
        h = x.new_zeros(x.shape[0], self.size, *x.shape[3:])
        for step in x.unbind(1):
            both = [h, step] if self.state_first else [step, h]
            gates = self.gates(torch.cat(both, 1)) if self.one else self.wx(step) + self.wh(h)
            a, b = gates.chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b) + 0.5 * h
        return self.head(h.movedim(1, -1))


class Ours(nnx.Module):
    """Scanned: its layers are called where nothing is seen; padding: of the images' layer of the input."""

    def __init__(self, one, images, size=4, state_first=False, scanned=False, padding: Any = "SAME"):
        rngs = nnx.Rngs(0)

        def layer(inputs, bias=True, padding="SAME"):
            if images:
                return nnx.Conv(inputs, 2 * size, (3, 3), padding=padding, use_bias=bias, rngs=rngs)
            return nnx.Linear(inputs, 2 * size, use_bias=bias, rngs=rngs)

        if one:
            self.gates = layer(6 + size)
        else:
            self.x2h, self.h2h = layer(6, padding=padding), layer(size, False)
        self.head = nnx.Linear(size, 3, rngs=rngs)
        self.one, self.size, self.state_first, self.scanned = one, size, state_first, scanned

    def step(self, h, x):
        both = [h, x] if self.state_first else [x, h]
        gates = self.gates(jnp.concatenate(both, -1)) if self.one else self.x2h(x) + self.h2h(h)
        a, b = jnp.split(gates, 2, -1)
        return jnp.tanh(a) * jax.nn.sigmoid(b) + 0.5 * h

    def __call__(self, x):
        h = jnp.zeros((x.shape[0], *x.shape[2:-1], self.size), x.dtype)
        steps = jnp.moveaxis(x, 1, 0)
        if self.scanned:
            return self.head(jax.lax.scan(lambda h, x: (self.step(h, x), None), h, steps)[0])
        for each in steps:
            h = self.step(h, each)
        return self.head(h)


def found(ours, theirs, x):
    batch = torch.tensor(np.moveaxis(x, -1, 1) if x.ndim > 3 else x)
    return map_of(NNXModel(ours), theirs, (x,), (batch,))


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("order", [{}, {"state_first": True}, {"size": 6}, {"size": 6, "state_first": True}])
@pytest.mark.parametrize("scanned", [False, True])
def test_two_layers_of_flax_are_one_along_its_inputs(images: bool, order: dict, scanned: bool):
    x = CLIP if images else X
    weight_map = found(Ours(False, images, order.get("size", 4), scanned=scanned), Theirs(True, images, **order), x)
    assert weight_map.agrees
    rows = {leaf.path[0]: leaf.rows for leaf in weight_map.leaves if leaf.key == "gates.weight"}
    size, first = order.get("size", 4), "state_first" in order
    length = 6 + size
    state, given = ((0, size), (size, length)) if first else ((6, length), (0, 6))
    assert rows == {"h2h": (*state, length, 1), "x2h": (*given, length, 1)}


@pytest.mark.parametrize("images, state_first", [(False, True), (True, False)])
def test_one_layer_of_flax_is_two_along_its_inputs(images: bool, state_first: bool):
    weight_map = found(Ours(True, images, state_first=state_first), Theirs(False, images), CLIP if images else X)
    assert weight_map.agrees


@pytest.mark.parametrize("scanned", [False, True])
def test_another_padding_of_one_of_two_does_not_exchange_them(scanned: bool):
    weight_map = found(Ours(False, True, padding=OTHER, scanned=scanned), Theirs(True, True), CLIP)
    assert weight_map.agrees is not scanned  # a layer that is seen is given what PyTorch's puts out
    rows = {leaf.path[0]: leaf.rows for leaf in weight_map.leaves if leaf.key == "gates.weight"}
    assert rows == {"h2h": (6, 10, 10, 1), "x2h": (0, 6, 10, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", OTHER])
def test_control_another_padding_of_one_of_two_fails(padding):
    result = parity.check(Ours(False, True, padding=padding), Theirs(True, True), CLIP, steps=1, tiers=("float64",))
    assert result.status == ("pass" if padding == "SAME" else "fail"), result.blame


def test_control_a_state_that_is_given_to_the_other_of_two_is_no_order_of_them():
    class Turned(Ours):
        def step(self, h, x):
            return super().step(x, h)

    assert not found(Turned(False, False, size=6), Theirs(True, False, size=6), X).agrees
