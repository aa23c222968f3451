"""The mode in which a Linen module runs where nobody says one, beside the mode of a fresh PyTorch module."""

import jax
import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.start.modes import compare_modes


class Dropping(linen.Module):
    """Takes its mode as an attribute, or where it is called."""

    deterministic: bool | None = None

    @linen.compact
    def __call__(self, x, train: bool | None = None):
        still = self.deterministic if train is None else not train
        return linen.Dense(10)(linen.Dropout(0.1, deterministic=still)(x))


class Evaluating(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = False):
        return linen.Dense(10)(linen.Dropout(0.1, deterministic=not train)(x))


@pytest.mark.parametrize(
    "ours, training, mode",
    [
        (Dropping(deterministic=True), True, "Flax starts in evaluation mode; PyTorch in training mode"),
        (Evaluating(), True, "Flax starts in evaluation mode; PyTorch in training mode"),
        (Evaluating(), False, None),
        (Dropping(deterministic=False), True, None),
        (Dropping(), True, None),
    ],
)
def test_the_mode_of_a_linen_module_is_that_of_its_attribute_or_default(ours, training, mode):
    theirs = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(12, 10)).train(training)
    rows = {row.name: str(row) for row in compare_modes(ours, theirs, {}) if not row.same}
    assert rows == ({"mode": f"mode: {mode}"} if mode else {})


def test_a_result_tells_of_it():
    x = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32)
    theirs = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(12, 10))
    result = parity.check(Evaluating(), theirs, x, steps=1, layers=False, tiers=("float64",))
    assert result.status == "pass"
    assert "mode" in {each.name for each in result.start if not each.same}


class OfPaths(linen.Module):
    """Drops whole rows by random numbers of a stream of its own."""

    kept: float = 0.7

    @linen.compact
    def __call__(self, x, train: bool = False):
        x = linen.Dense(10)(x)
        if not train:
            return x
        return x * jax.random.bernoulli(self.make_rng("paths"), self.kept, (len(x), 1)) / self.kept


class TorchOfPaths(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(12, 10)

    def forward(self, x):
        x = self.linear(x)
        return x * torch.bernoulli(torch.full((len(x), 1), 0.7)) / 0.7 if self.training else x


def test_random_numbers_may_come_of_a_stream_of_any_name():
    x = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    short = {"steps": 1, "layers": False, "tiers": ("float64",)}
    assert parity.check(OfPaths(), TorchOfPaths(), x, **short)
    assert parity.check(OfPaths(kept=0.8), TorchOfPaths(), x, **short).status == "fail"
