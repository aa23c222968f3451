"""Bodies in which Flax uses another tensor that PyTorch computes too, or another number for a part of the features."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity

X = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)


class Pooled(linen.Module):
    """Means and maxima, each given to one layer."""

    mistake: str = ""

    @linen.compact
    def __call__(self, x):
        first, second = linen.Dense(5, name="first"), linen.Dense(3, name="second")
        mean, top = x.mean(1), x.max(1)
        if self.mistake == "sum":
            y = first(mean + top)
        elif self.mistake == "other":
            y = first(jnp.sinh(mean) * top)
        else:
            y = first(mean) + first(top)
        radius = 0.5 if self.mistake == "number" else 0.4
        return second(jnp.concatenate([y / radius, y * mean[:, :1]], -1))


class TorchPooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 5), torch.nn.Linear(10, 3)

    def forward(self, x):
        mean, top = x.mean(1), x.amax(1)
        y = self.first(mean) + self.first(top)
        return self.second(torch.cat([y / 0.4, y * mean[:, :1]], -1))


@pytest.mark.parametrize(
    "mistake, cause, text",
    [
        ("sum", "wiring", "Flax adds what `x.amax(1)` (test_elsewhere.py, line "),
        ("number", "constant", "Flax divides by 0.5 where PyTorch has 0.4"),
        ("other", "", ""),
        ("", None, ""),
    ],
)
def test_another_tensor_of_the_body_is_named(mistake, cause, text):
    blame = parity.check(Pooled(mistake), TorchPooled(), X, steps=1, tiers=("float64",)).blame
    assert (blame and blame.cause) == cause and text in str(blame), blame
