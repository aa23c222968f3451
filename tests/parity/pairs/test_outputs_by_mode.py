"""A model that returns two outputs in training and one in evaluation is compared in either mode."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.twin.outputs_by_mode import are_others

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.further = torch.nn.Linear(6, 8), torch.nn.Linear(8, 3), torch.nn.Linear(8, 3)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return (self.head(x), self.further(x)) if self.training else self.head(x) + self.further(x)


class Ours(nnx.Module):
    def __init__(self, mean: bool):
        rngs = nnx.Rngs(0)
        self.body = nnx.Linear(6, 8, rngs=rngs)
        self.head, self.further = nnx.Linear(8, 3, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
        self.share, self.deterministic = 0.5 if mean else 1.0, False

    def __call__(self, x):
        x = jnp.tanh(self.body(x))
        both = self.head(x), self.further(x)
        return self.share * (both[0] + both[1]) if self.deterministic else both


@pytest.mark.parametrize(("mean", "status", "cause"), [(False, "pass", ""), (True, "fail", "half")])
def test_the_outputs_of_either_mode_are_compared(mean, status, cause):
    result = parity.check(Ours(mean), Theirs(), X, steps=1, tiers=("float64",))
    names = {row.key.tensor for row in result.rows["float64"] if row.key.phase == "evaluation" and row.key.is_output}
    assert (result.status, names) == (status, {"output"})
    assert not cause or (result.blame and result.blame.cause == cause)


def test_control_the_same_outputs_are_no_others():
    assert not are_others((X, X), (X, X)) and are_others(X, (X, X)) and are_others((X, X), (X, X[:, :2]))
