"""Models that set `x.requires_grad = True` on their input, to checkpoint their first layers."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.models.asked_gradients import asked_for_gradients

X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


class Ours(nnx.Module):
    def __init__(self, rngs):
        self.head = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        return self.head(x * 2)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(5, 4)

    def forward(self, x):
        x = x * 2
        x.requires_grad = True
        return self.head(x)


def test_a_model_may_ask_for_gradients_of_its_input():
    assert parity.check(Ours(nnx.Rngs(0)), Theirs(), X, steps=1, tiers=("float64",)).status == "pass"
    assert "requires_grad" not in vars(torch.Tensor)


def test_control_nothing_else_may_be_set_on_what_was_computed():
    x = torch.ones(2, requires_grad=True) * 2
    with asked_for_gradients(), asked_for_gradients():
        x.requires_grad = True
        with pytest.raises(RuntimeError, match="leaf variables"):
            x.requires_grad = False
    with pytest.raises(RuntimeError, match="leaf variables"):
        x.requires_grad = True
