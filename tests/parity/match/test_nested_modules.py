"""Modules around the same layers: PyTorch's block and the Sequential within it, where Flax has the block alone."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity

TABLE = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


class Residual(nnx.Module):
    """A block in one module; `outside` leaves the sum to whoever calls it."""

    def __init__(self, eps, rngs, outside=False):
        self.norm = nnx.LayerNorm(6, epsilon=eps, rngs=rngs)
        self.linear = nnx.Linear(6, 6, rngs=rngs)
        self.outside = outside

    def __call__(self, x):
        y = self.linear(nnx.tanh(self.norm(x)))
        return y if self.outside else x + y


class Net(nnx.Module):
    def __init__(self, eps=1e-5, outside=False):
        rngs = nnx.Rngs(0)
        self.blocks = nnx.List([Residual(e, rngs, outside) for e in (1e-5, eps)])

    def __call__(self, x):
        for block in self.blocks:
            x = x + block(x) if block.outside else block(x)
        return x


class TorchResidual(torch.nn.Module):
    """The same with its layers in a Sequential, which holds just what the block does."""

    def __init__(self):
        super().__init__()
        self.block = torch.nn.Sequential(torch.nn.LayerNorm(6), torch.nn.Tanh(), torch.nn.Linear(6, 6))

    def forward(self, x):
        return x + self.block(x)


def theirs():
    return torch.nn.Sequential(TorchResidual(), TorchResidual())


class Doubled(TorchResidual):
    """A block that is wrong itself, around layers that are right."""

    def forward(self, x):
        return x + 2 * self.block(x)


def blamed(ours, theirs):
    blame = parity.check(ours, theirs, TABLE, steps=1, tiers=("float64",)).blame
    assert blame
    return blame


@pytest.mark.slow
@pytest.mark.parametrize("outside", [False, True])
def test_a_block_is_not_compared_with_the_sequence_within_it(outside):
    blame = blamed(Net(1e-3, outside), theirs())
    assert (blame.layer, blame.cause, blame.others) == ("1.block.0", "eps", ())


def test_a_block_that_is_wrong_itself_is_blamed():
    blame = blamed(Net(), torch.nn.Sequential(TorchResidual(), Doubled()))
    assert (blame.layer, blame.cause, blame.others) == ("1", "factor-missing", ())
