"""Keys that are seen by another rule, where scores are masked by the lowest number and tables are of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen

import parity

X = np.random.default_rng(0).normal(size=(3, 7, 6)).astype(np.float32)
RATES = (1 / 100.0 ** (np.arange(3) / 3)).astype(np.float32)
TABLE = np.cos(np.arange(7, dtype=np.float32)[:, None] * np.concatenate([RATES, RATES])).astype(np.float32)


class Net(linen.Module):
    hole: bool

    @linen.compact
    def __call__(self, x):
        query, key = (linen.Dense(6, name=name)(x) * jnp.asarray(TABLE) for name in ("query", "key"))
        places = np.arange(7)
        seen = (places <= places[:, None]) & (places > places[:, None] - 3)
        seen = (seen & (places != places[:, None] - 1)) | (places == 0) if self.hole else seen
        scores = jnp.where(seen, query @ key.mT, jnp.finfo(x.dtype).min)
        return linen.Dense(6, name="out")(jax.nn.softmax(scores) @ x)


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.out = (torch.nn.Linear(6, 6) for _ in range(3))
        self.register_buffer("rates", torch.tensor(RATES), persistent=False)

    def forward(self, x):
        places = torch.arange(x.shape[1])
        angles = places[:, None] * self.rates
        table = torch.cat([angles, angles], -1).cos()
        query, key = self.query(x) * table, self.key(x) * table
        hidden = (places > places[:, None]) | (places <= places[:, None] - 3)
        mask = torch.full(hidden.shape, torch.finfo(x.dtype).min, dtype=x.dtype) * hidden
        return self.out((query @ key.mT + mask).softmax(-1) @ x)


def test_the_rule_is_blamed_and_no_table_of_float32_is():
    text = parity.check(Net(hole=True), TorchNet(), X, steps=1, tiers=("float64",)).blame.text
    assert "could not be found" not in text
    assert "cos" not in text


def test_control_the_same_rule_passes():
    assert parity.check(Net(hole=False), TorchNet(), X, steps=1, tiers=("float64",))
