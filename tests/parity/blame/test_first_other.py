"""The first tensor that is another in Flax, beside tables that one side alone has in float32."""

import numpy as np
import pytest
import torch
from flax import linen
from jax import numpy as jnp

import parity
from parity.layers.received import Received, first_other

POINTS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
TABLE = 3.0 ** -np.arange(5.0)


def given(*gaps):
    ones = np.ones(3)
    return [Received(str(gap), ones, ones + gap, "layer", 0, 0) for gap in gaps]


@pytest.mark.parametrize(
    "gaps, beside, label",
    [
        ((0.0, 1e-8), 0.0, "1e-08"),
        ((0.0, 1e-8, 0.1), 0.0, "0.1"),
        ((1e-8, 1e-8), 0.1, None),
        ((1e-5, 0.1), 0.1, "1e-05"),
        ((0.0,), 0.1, None),
        ((float("nan"),), 0.0, "nan"),
    ],
)
def test_digits_of_float32_are_passed_by_where_something_is_far(gaps, beside, label):
    found = first_other(given(*gaps), beside)
    assert (found and found.label) == label


def test_the_root_mean_square_tells_digits():
    ones = np.ones(100)
    for many, label in ((1, None), (50, "table")):
        table = Received("table", ones, ones + 1e-6 * (np.arange(100) < many), "layer", 0, 0)
        assert ((found := first_other([table], 0.1)) and found.label) == label


class Ours(linen.Module):
    """A table in full precision; `mistake`: what else is other than in PyTorch."""

    mistake: str = ""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(4, name="first")(x) * jnp.asarray(TABLE, x.dtype)[None, :, None]
        x = linen.Dense(4, name="second")(jnp.sin(x) if self.mistake == "sine" else x)
        return x if self.mistake == "scale" else x / 3.0


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        self.register_buffer("table", torch.tensor(TABLE, dtype=torch.float32), persistent=False)

    def forward(self, x):
        return self.second(self.first(x) * self.table[:, None]) / 3.0


@pytest.mark.slow
@pytest.mark.parametrize("mistake, place", [("scale", "between its layers"), ("sine", "before second")])
def test_a_mistake_behind_a_table_of_float32_is_placed(mistake, place):
    blame = parity.check(Ours(mistake), Theirs(), POINTS, steps=1, tiers=("float64",)).blame
    assert blame and place in blame.text, blame
    if mistake == "scale":
        assert blame.cause == "factor-missing" and "does not divide by 3" in blame.text
