"""Pairs as people write them whose layers are hard to compare on their own; the verdict stands all the same."""

import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from parity.report.coverage import coverage

INPUTS = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
TABLE = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def check(ours, theirs, inputs):
    return parity.check(ours, theirs, inputs, steps=2, tiers=("float64",))


class Flattening(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), padding=1)(x))
        return linen.Dense(2)(x.reshape(len(x), -1))


def test_a_dense_layer_behind_another_flatten_is_given_its_features_in_its_own_order():
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(96, 2)
    )
    result = check(Flattening(), theirs, INPUTS)
    assert result.status == "pass"
    assert coverage(result).alone == coverage(result).holding == 2


class Block(linen.Module):
    @linen.compact
    def __call__(self, x):
        return x + linen.Dense(6, name="down")(linen.relu(linen.Dense(9, name="up")(x)))


class Jitted(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.jit(Block)(name="block")(x)


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.Linear(6, 9)
        self.down = torch.nn.Linear(9, 6)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(x)))


def test_a_check_that_compared_no_layer_says_so():
    result = check(Jitted(), TorchBlock(), TABLE)
    assert result.status == "pass"
    assert (coverage(result).alone, coverage(result).holding) == (0, 2)
    assert "0 of 2 with tensors" in str(coverage(result))
    assert any("none of 2 layers could be compared on its own" in note for note in result.notes)


def test_a_check_that_compared_all_layers_says_nothing():
    result = check(Block(), TorchBlock(), TABLE)
    assert coverage(result).alone == coverage(result).holding == 2
    assert result.notes == ()


def test_a_compiled_model_is_a_model():
    assert check(Block(), torch.compile(TorchBlock(), backend="eager"), TABLE).status == "pass"


class Reading(nnx.Module):
    """A layer that fails without what the model around it has set."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(6, 6, rngs=rngs)
        self.offset = nnx.data(None)

    def __call__(self, x):
        if self.offset is None:
            raise ValueError("no offset")
        return self.linear(x) + self.offset


class Setting(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.reading = Reading(rngs)
        self.out = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        self.reading.offset = x.mean()
        x = self.reading(x)
        self.reading.offset = None
        return self.out(x)


class TorchReading(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(6, 6)
        self.offset = None

    def forward(self, x):
        if self.offset is None:
            raise ValueError("no offset")
        return self.linear(x) + self.offset


class TorchSetting(torch.nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.reading = TorchReading()
        self.out = torch.nn.Linear(6, 2)
        self.factor = factor

    def forward(self, x):
        self.reading.offset = self.factor * x.mean()
        x = self.reading(x)
        self.reading.offset = None
        return self.out(x)


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), (2.0, "fail")])
def test_a_module_that_does_not_run_alone_takes_no_verdict_with_it(factor, status):
    result = check(Setting(), TorchSetting(factor), TABLE)
    assert result.status == status
    assert coverage(result).alone == 2
    assert bool(result.blame) == (status == "fail")
