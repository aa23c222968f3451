"""Blocks with their norms before their layers on one side, behind the sums on the other."""

import numpy as np
import pytest
import torch
from flax import nnx
from matching import R

import parity

X = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float32)


class Block(nnx.Module):
    def __init__(self, before):
        self.norm1 = nnx.LayerNorm(6, epsilon=1e-5, rngs=R)
        self.mix = nnx.Linear(6, 6, rngs=R)
        self.norm2 = nnx.LayerNorm(6, epsilon=1e-5, rngs=R)
        self.into = nnx.Linear(6, 9, rngs=R)
        self.out = nnx.Linear(9, 6, rngs=R)
        self.before = before

    def __call__(self, x):
        wide = lambda x: self.out(nnx.relu(self.into(x)))  # noqa: E731
        if self.before:
            x = x + self.mix(self.norm1(x))
            return x + wide(self.norm2(x))
        x = self.norm1(x + self.mix(x))
        return self.norm2(x + wide(x))


class Net(nnx.Module):
    def __init__(self, before):
        self.first = nnx.Linear(6, 6, rngs=R)
        self.blocks = nnx.List([Block(before) for _ in range(2)])
        self.last = nnx.LayerNorm(6, epsilon=1e-5, rngs=R)

    def __call__(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


class TorchBlock(torch.nn.Module):
    def __init__(self, before):
        super().__init__()
        self.ln_1 = torch.nn.LayerNorm(6)
        self.mix = torch.nn.Linear(6, 6)
        self.ln_2 = torch.nn.LayerNorm(6)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 6))
        self.before = before

    def forward(self, x):
        if self.before:
            x = x + self.mix(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))
        x = self.ln_1(x + self.mix(x))
        return self.ln_2(x + self.mlp(x))


class TorchNet(torch.nn.Module):
    def __init__(self, before):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.h = torch.nn.ModuleList([TorchBlock(before) for _ in range(2)])
        self.ln_f = torch.nn.LayerNorm(6)

    def forward(self, x):
        x = self.first(x)
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


def checked(ours, theirs):
    return parity.check(Net(before=ours), TorchNet(before=theirs), X, steps=1, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize("ours, says", [(False, "PyTorch normalises"), (True, "Flax normalises")])
def test_norms_before_layers_or_behind_sums_are_named_at_the_block(ours, says):
    blame = checked(ours, not ours).blame
    assert blame is not None
    assert (blame.layer, blame.cause) == ("h.0", "norm-place")
    assert f"h.0 (TorchBlock), forward: {says} the block's input before h.0.mix (pre-norm)" in blame.text


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
def test_the_same_place_on_both_sides_passes(before):
    checked(before, before).raise_if_failed()
