"""Outputs in a dict, which may be in any order: gradients are propagated back from those of their names."""

from collections import OrderedDict

import jax
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


class Ours(nnx.Module):
    def __init__(self, approximate):
        self.wide, self.head = nnx.Linear(5, 7, rngs=nnx.Rngs(0)), nnx.Linear(7, 4, rngs=nnx.Rngs(1))
        self.approximate = approximate

    def __call__(self, x):
        hidden = jax.nn.gelu(self.wide(x), approximate=self.approximate)
        return {"scores": self.head(hidden), "hidden": hidden}


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.head = torch.nn.Linear(5, 7), torch.nn.Linear(7, 4)

    def forward(self, x):
        hidden = F.gelu(self.wide(x))
        return {"scores": self.head(hidden), "hidden": hidden}


class Around(nnx.Module):
    def __init__(self, body):
        self.body = body

    def __call__(self, x):
        return self.body(x)


@pytest.mark.parametrize("approximate, cause", [(True, "GELU's tanh approximation"), (False, None)])
def test_the_cause_of_a_body_with_such_outputs_is_told(approximate, cause):
    theirs = torch.nn.Sequential(OrderedDict(body=Theirs()))
    result = parity.check(Around(Ours(approximate)), theirs, X, steps=1, tiers=("float64",))
    assert cause in str(result.blame) if cause else result.status == "pass"
