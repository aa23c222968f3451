"""A mistake behind a batch normalisation of Flax's, whose running variance is another one, is told before it."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


class Normed(nnx.Module):
    def __init__(self, rngs, mistake):
        self.first, self.norm = nnx.Linear(4, 5, rngs=rngs), nnx.BatchNorm(5, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.mistake = mistake

    def __call__(self, x, train=False):
        y = self.norm(self.first(x), use_running_average=not train)
        still = y if self.mistake == "gradient" else jax.lax.stop_gradient(y)
        return y * still * (1.0 if self.mistake == "output" else 2.0)


class TorchNormed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5)

    def forward(self, x):
        y = self.norm(self.first(x))
        return y * y.detach() * 2.0


@pytest.mark.parametrize(
    "mistake, direction, cause",
    [
        ("output", "forward", "factor-missing"),
        pytest.param("gradient", "gradients", "stop-gradient-missing", marks=pytest.mark.slow),
        ("", "", ""),
    ],
)
def test_what_is_wrong_besides(mistake, direction, cause):
    make = lambda: Normed(nnx.Rngs(0), mistake)  # noqa: E731
    blame = parity.check(make, TorchNormed(), X, steps=1, tiers=("float64",)).blame
    assert blame and "biased variance" in str(blame)
    if mistake:
        assert (blame.direction, blame.cause) == (direction, cause), blame
    else:
        assert blame.direction == "buffers"  # the control
