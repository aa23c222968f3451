"""A bound that no number reaches cannot be compared, and the result says so."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.proof import idle_bounds

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


class Scales(linen.Module):
    bound: float

    @linen.compact
    def __call__(self, x):
        return jnp.clip(linen.Dense(3, name="scale")(x), -self.bound, self.bound)


class TorchScales(torch.nn.Module):
    def __init__(self, bound):
        super().__init__()
        self.bound, self.scale = bound, torch.nn.Linear(4, 3)

    def forward(self, x):
        y = self.scale(x).clamp(-self.bound, self.bound)
        return y + 0 * torch.clamp(input=x.sum(), min=1e-6)


@pytest.mark.parametrize("bound, idle", [(50.0, True), (0.5, False)])
def test_bounds_that_bind_nothing_are_told(bound, idle):
    result = parity.check(Scales(bound), TorchScales(bound), X, steps=1, tiers=("float64",))
    assert result.status == "pass", result.blame
    told = [note for note in result.notes if "bounds" in note]
    assert bool(told) == idle
    assert not told or "`self.scale(x).clamp(-self.bound, self.bound)` (test_idle_bounds.py, line " in told[0]
    assert "min=1e-6" not in str(told)


def test_a_model_that_cannot_be_run_once_more_keeps_its_verdict(monkeypatch):
    monkeypatch.setattr(idle_bounds, "_guards", lambda *_, **__: 1 / torch.zeros(2)[3])
    result = parity.check(Scales(50.0), TorchScales(50.0), X, steps=1, tiers=("float64",))
    assert result.status == "pass" and not any("bounds" in note for note in result.notes)


class Identity(linen.Module):
    @linen.compact
    def __call__(self, x):
        return jnp.clip(x, -50.0, 50.0)


def test_bounds_of_a_layer_of_pytorchs_have_no_line_to_be_told():
    result = parity.check(Identity(), torch.nn.Hardtanh(-50.0, 50.0), X, steps=1, tiers=("float64",))
    assert result.status == "pass" and not any("bounds" in note for note in result.notes)
