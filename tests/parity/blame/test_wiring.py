"""Layers that are given another tensor of the same model than in PyTorch."""

import numpy as np
import pytest
import torch
from flax import linen

import parity

TABLE = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Block(linen.Module):
    """A block before whose layers there is a norm; `shortcut`: it is taken behind the norm, or before it."""

    shortcut: str = "behind"

    @linen.compact
    def __call__(self, x):
        y = linen.relu(linen.LayerNorm(epsilon=1e-5, name="norm")(x))
        side = linen.Dense(6, name="side")(y if self.shortcut == "behind" else x)
        return side + linen.Dense(6, name="out")(linen.tanh(linen.Dense(9, name="into")(y)))


class Net(linen.Module):
    shortcut: str = "behind"

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3, name="head")(Block(self.shortcut, name="second")(Block(name="first")(x)))


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(6)
        self.side = torch.nn.Linear(6, 6)
        self.into = torch.nn.Linear(6, 9)
        self.out = torch.nn.Linear(9, 6)

    def forward(self, x):
        y = torch.relu(self.norm(x))
        return self.side(y) + self.out(torch.tanh(self.into(y)))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = TorchBlock()
        self.second = TorchBlock()
        self.head = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.second(self.first(x)))


class Flat(linen.Module):
    """Two layers in a body, the second beside the first or behind it, or behind the sum of it and what it is given."""

    beside: bool = True
    added: bool = False

    @linen.compact
    def __call__(self, x):
        first = linen.Dense(6, name="first")(x)
        given = x + first if self.added else x if self.beside else first
        return first * linen.sigmoid(linen.Dense(6, name="second")(given))


class TorchFlat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.second = torch.nn.Linear(6, 6)

    def forward(self, x):
        first = self.first(x)
        return first * torch.sigmoid(self.second(first))


def check(ours, theirs):
    return parity.check(ours, theirs, TABLE, steps=1, tiers=("float64",))


@pytest.mark.slow
def test_a_shortcut_from_before_the_norm_is_named():
    blame = check(Net("before"), TorchNet()).blame
    assert blame and (blame.layer, blame.cause) == ("second", "wiring"), blame
    assert "Flax gives second.side what first returns, PyTorch what second.into is given" in blame.text


def test_a_layer_beside_another_in_place_of_behind_it_is_named():
    blame = check(Flat(), TorchFlat()).blame
    assert blame and (blame.layer, blame.cause) == ("", "wiring"), blame
    assert "Flax gives second what first is given, PyTorch what first returns" in blame.text


def test_a_sum_in_the_place_of_one_of_its_terms_is_named():
    blame = check(Flat(added=True), TorchFlat()).blame
    assert blame and (blame.layer, blame.cause) == ("", "wiring"), blame
    words = "Flax gives second the sum of what first returns and what first is given, PyTorch what first returns"
    assert words in blame.text


@pytest.mark.parametrize("ours, theirs", [(Net(), TorchNet()), (Flat(beside=False), TorchFlat())])
def test_control_equal_wiring_passes(ours, theirs):
    assert check(ours, theirs).status == "pass"
