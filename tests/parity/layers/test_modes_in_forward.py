"""A layer that the model's own code puts in evaluation at every call is compared so by itself, too."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity


class Frozen(nnx.Module):
    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(4, 5, rngs=rngs), nnx.BatchNorm(5, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.first(x), use_running_average=True)


class FrozenTorch(torch.nn.Module):
    def __init__(self, frozen):
        super().__init__()
        self.first, self.norm, self.frozen = torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), frozen

    def forward(self, x):
        if self.frozen:
            self.norm.eval()
        return self.norm(self.first(x))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_norm_that_forward_freezes(frozen):
    x = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    result = parity.check(Frozen(nnx.Rngs(0)), FrozenTorch(frozen), x, steps=1, tiers=("float64",))
    assert result.status == ("pass" if frozen else "fail"), result.blame
    assert not result.blame or result.blame.cause == "running-statistics"  # the control
