"""Stochastic depth: whole examples are dropped, at rates that PyTorch's models compute in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen

import parity
from parity.compare.constants import HELD
from parity.sides.constants import is_of_float32, torch_constants

X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)


class DropPath(linen.Module):
    rate: float

    def __call__(self, x, deterministic):
        if deterministic:
            return x
        keep = 1 - self.rate
        kept = jnp.floor(keep + jax.random.uniform(self.make_rng("paths"), (len(x), 1), x.dtype))
        return x / keep * kept


class Net(linen.Module):
    rate: float = 0.1

    @linen.compact
    def __call__(self, x, deterministic=True):
        for number, rate in enumerate(np.linspace(0, 2 * self.rate, 3)[1:]):
            branch = linen.Dense(6, name=f"dense_{number}")(x)
            x = x + DropPath(float(rate), name=f"path_{number}")(branch, deterministic)
        return x


class TorchDropPath(torch.nn.Module):
    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training:
            return x
        keep = 1 - self.rate
        return x.div(keep) * (keep + torch.rand((len(x), 1), dtype=x.dtype)).floor_()


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for number, rate in enumerate(torch.linspace(0, 0.2, 3)[1:]):
            setattr(self, f"dense_{number}", torch.nn.Linear(6, 6))
            setattr(self, f"path_{number}", TorchDropPath(rate.item()))

    def forward(self, x):
        for number in range(2):
            x = x + getattr(self, f"path_{number}")(getattr(self, f"dense_{number}")(x))
        return x


def test_a_rate_of_float32_is_known_to_a_digit_of_it():
    result = parity.check(Net(), TorchNet(), X, steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert any(HELD in row.because for row in result.rows["float64"])


def test_control_another_rate_is_seen_and_not_taken_for_another_mask():
    blame = parity.check(Net(rate=0.11), TorchNet(), X, steps=1, tiers=("float64",)).blame
    assert blame is not None and blame.layer.startswith("path_")
    assert "dropped or masked" not in blame.text


def test_which_numbers_are_of_float32():
    rounded = float(np.float32(0.1))
    assert [is_of_float32(x) for x in (rounded, 0.1, 0.5, 3.0, 1e300, float("inf"), True, 3)] == [True] + 7 * [False]
    assert set(torch_constants(TorchNet(), [])) == {"path_0.rate", "path_1.rate"}
