"""Layers all of whose gradients are zero in exact arithmetic: their rounding is no mistake, and hides none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.arrays.key import Key
from parity.compare.scale import scales_of

MEMORY = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)


class Queries(linen.Module):
    """The first decoder layer of a detector: all that its queries attend to are zeros with positions in the keys."""

    scale: float = 1.0

    @linen.compact
    def __call__(self, memory):
        positions = self.param("positions", linen.initializers.normal(1.0), (3, 8))
        zeros = jnp.zeros((len(memory), 3, 8))
        q, k, v = (
            linen.Dense(8, name=name)(x).reshape(-1, 3, 2, 4)
            for name, x in (("q", zeros + positions[None]), ("k", zeros + positions[None]), ("v", zeros))
        )
        heads = jax.nn.dot_product_attention(q, k, v, scale=0.5).reshape(zeros.shape)
        return linen.Dense(3, name="out")(self.scale * heads + memory[:, :3] + positions[None])


class TorchQueries(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.positions = torch.nn.Parameter(torch.randn(3, 8))
        self.q, self.k, self.v, self.out = (torch.nn.Linear(8, n) for n in (8, 8, 8, 3))

    def forward(self, memory):
        zeros = torch.zeros(len(memory), 3, 8).to(memory)
        inputs = zeros + self.positions, zeros + self.positions, zeros
        q, k, v = (layer(x).view(-1, 3, 2, 4).transpose(1, 2) for layer, x in zip((self.q, self.k, self.v), inputs))
        heads = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(heads.transpose(1, 2).flatten(2) + memory[:, :3] + self.positions)


@pytest.mark.slow
def test_gradients_that_are_rounding_alone_are_no_mistake():
    assert parity.check(Queries(), TorchQueries(), MEMORY, steps=2).status == "pass"


@pytest.mark.slow
def test_control_a_mistake_beside_them_is_found():
    assert parity.check(Queries(scale=1.001), TorchQueries(), MEMORY, steps=1, tiers=("float64",)).status == "fail"


def test_a_layer_is_measured_against_others_only_below_all_rounding():
    size = np.ones(3)
    parts = {"a.w": 1.0, "b.w": 1e-16, "c.w": 1e-12}
    record = {Key(1, "gradients", name): part * size for name, part in parts.items()}
    record[Key(1, "forward", "b.w")] = 1e-16 * size
    scales = {k: round(scale, 14) if scale > 1e-14 else scale for k, (scale, _) in scales_of(record).items()}
    assert list(scales.values()) == [1.0, 1.0, 1e-12, 1e-16]
