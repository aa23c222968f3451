"""Convolutions whose windows are a single place along some axis, against those without that axis."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
CLIP = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 4)).astype(np.float32)


class Theirs(torch.nn.Module):
    """Two convolutions of one size; `apart`: each column is an example of its own."""

    def __init__(self, kind: Any, window, apart=False, **options):
        super().__init__()
        self.first, self.second = kind(4, 4, window, **options), kind(4, 4, window, **options)
        self.fc, self.apart = torch.nn.Linear(4, 2), apart

    def forward(self, x):
        columns = x.permute(0, 3, 1, 2).flatten(0, 1) if self.apart else x
        y = self.second(torch.tanh(self.first(columns)))
        return self.fc(y.flatten(2).sum(2).reshape(len(x), -1, 4).sum(1))


class Ours(nnx.Module):
    """In the other order; `upright`: columns stand before rows; `every`: of them, this many make a step."""

    def __init__(self, window, kind: Any = nnx.Conv, upright=False, every=1, turned=False, **options):
        rngs = nnx.Rngs(0)
        self.b, self.a = (kind(4, 4, window, padding="VALID", rngs=rngs, **options) for _ in range(2))
        self.fc = nnx.Linear(4, 2, rngs=rngs)
        self.upright, self.every, self.turned = upright, every, turned

    def __call__(self, x):
        x = x.swapaxes(1, 2) if self.upright else x
        y = jnp.tanh(self.a(x[:, :: self.every]))
        y = self.b(y[..., ::-1, :] if self.turned else y[:, :: self.every])
        return self.fc(y.reshape(len(y), -1, 4).sum(1))


def upright(turned=False):
    return Ours((2,), upright=True, turned=turned)


PAIRS = {
    "one axis of two": lambda: (Theirs(torch.nn.Conv2d, (2, 1)), upright(), X),
    "steps along the other": lambda: (
        Theirs(torch.nn.Conv2d, (2, 1), stride=(1, 2)),
        Ours((2,), upright=True, every=2),
        X,
    ),
    "one window for each channel": lambda: (
        Theirs(torch.nn.Conv2d, (1, 2), groups=4),
        Ours((2,), feature_group_count=4),
        X,
    ),
    "two axes of three": lambda: (Theirs(torch.nn.Conv3d, (1, 2, 2)), Ours((2, 2)), CLIP),
    "transposed": lambda: (
        Theirs(torch.nn.ConvTranspose2d, (2, 1)),
        Ours((2,), nnx.ConvTranspose, upright=True),
        X,
    ),
    "two axes for one": lambda: (Theirs(torch.nn.Conv1d, 2, apart=True), Ours((2, 1)), X),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_convolution_is_that_without_the_axes_along_which_its_window_is_one_place(name: str):
    theirs, ours, x = PAIRS[name]()
    weight_map = map_of(NNXModel(ours), theirs, (x,), (torch.tensor(np.moveaxis(x, -1, 1)),))
    assert weight_map.agrees
    homes = {leaf.key: leaf.path[0] for leaf in weight_map.leaves}
    assert homes["first.weight"] == homes["first.bias"] == "a"


def test_control_windows_over_images_that_are_turned_round_fail():
    pair = upright(turned=True), Theirs(torch.nn.Conv2d, (2, 1))
    result = parity.check(*pair, X, steps=1, tiers=("float64",))
    assert result.status == "fail"
    assert result.blame and "second" in result.blame.text, result.blame


class Gate(nnx.Module):
    """Channels are weighed by a dense layer of their means."""

    def __init__(self, activation):
        self.dense, self.activation = nnx.Linear(3, 3, rngs=nnx.Rngs(0)), activation

    def __call__(self, x):
        batch, channels = (y := self.activation(self.dense(x.mean((1, 2))))).shape
        return x + x * y.reshape(batch, 1, 1, channels)


class TorchGate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return x + x * torch.sigmoid(self.conv(x.mean((2, 3), keepdim=True)))


@pytest.mark.parametrize("activation, agrees", [(nnx.sigmoid, True), (nnx.tanh, False)])
def test_a_convolution_of_one_place_hands_vectors_to_a_dense_layer(activation, agrees):
    x = np.random.default_rng(0).normal(size=(5, 4, 6, 3)).astype(np.float32)
    found = map_of(NNXModel(Gate(activation)), TorchGate(), (x,), (torch.tensor(np.moveaxis(x, -1, 1)),))
    assert found.agrees == agrees
