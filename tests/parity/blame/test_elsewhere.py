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
        mean = x.mean(1)
        y = self.first(mean) + self.first(x.amax(1))  # which is computed after the first call
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


class Normed(linen.Module):
    """A norm before a function or behind it."""

    behind: bool = False
    other: float = 1.0

    @linen.compact
    def __call__(self, x):
        y, norm = linen.Dense(5, name="first")(x), linen.LayerNorm(epsilon=1e-5, name="norm")
        y = norm(jnp.sinh(self.other * y)) if self.behind else jnp.sinh(norm(y))
        return linen.Dense(3, name="second")(y)


class TorchNormed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = torch.nn.Linear(4, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.second(torch.sinh(self.norm(self.first(x))))


@pytest.mark.slow
@pytest.mark.parametrize("other, cause", [(1.0, "order-exchanged"), (0.7, "")], ids=["order", "control"])
def test_a_function_that_comes_before_a_layer_in_flax_is_named(other, cause):
    blame = parity.check(Normed(True, other), TorchNormed(), X, steps=1, tiers=("float64",)).blame
    assert blame and blame.cause == cause, blame
    assert not cause or "Flax gives norm what `torch.sinh(self.norm(self.first(x)))` (test_elsewhere.py" in blame.text
