"""Gradients that flow back through one place as another multiple of themselves than PyTorch's, where values agree."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.blame.diagnosis.cause import choose
from parity.blame.scaled_gradients import scaled_trials

RANDOM = np.random.default_rng(0)
X = torch.tensor(RANDOM.normal(size=(6, 4)))


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, *received):
        return -ctx.factor * received[0], None


reverse = Reverse.apply


def scaled(x, factor):
    return x * factor + x.detach() * (1 - factor)


class Model(torch.nn.Module):
    """Two heads, behind one of which gradients are multiplied."""

    def __init__(self, multiplied, factor, other=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.first, self.second = (torch.nn.Linear(4, size).double() for size in (4, 3, 2))
        self.multiplied, self.factor, self.other = multiplied, factor, other

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.first(scaled(h, self.other)), self.second(self.multiplied(h, self.factor))


def gradients(model, mode=None):
    with mode.running() if mode else torch.enable_grad():
        loss = sum(output.square().sum() for output in model(X))
    assert isinstance(loss, torch.Tensor)
    model.zero_grad()
    loss.backward()
    return [loss.detach().numpy(), *(p.grad.numpy().copy() for p in model.parameters())]


def told(theirs, ours):
    flax = gradients(ours)
    trials = scaled_trials(theirs, flax, lambda mode: gradients(theirs, mode))
    return choose(gradients(theirs), flax, trials)


def test_another_factor_of_a_reversal_is_told_with_both():
    cause = told(Model(reverse, 0.3), Model(reverse, 1.0))
    assert cause and cause.name == "gradient-factor"
    assert cause.text.endswith("through Reverse is -1 times what is given to it in Flax, -0.3 times in PyTorch")


def test_a_factor_that_is_missing_is_told_by_the_line():
    cause = told(Model(scaled, 0.5), Model(scaled, 1.0))
    assert cause and "`x * factor` (test_scaled_gradients.py, line" in cause.text
    assert cause.text.endswith("(call 2) is 2 times PyTorch's in Flax")


@pytest.mark.parametrize("ours", [Model(reverse, 1.0, 0.7), Model(reverse, 0.3, 0.7).requires_grad_()])
def test_control_what_one_factor_does_not_explain_has_no_cause(ours):
    if ours.factor == 0.3:
        ours.second.weight.data += 0.1
    assert told(Model(reverse, 0.3), ours) is None


class Ours(nnx.Module):
    def __init__(self):
        self.body, self.first, self.second = (nnx.Linear(4, size, rngs=nnx.Rngs(0)) for size in (4, 3, 2))

    def __call__(self, x):
        h = nnx.tanh(self.body(x))
        return self.first(h), self.second(2 * jax.lax.stop_gradient(h) - h)


@pytest.mark.slow
def test_it_is_the_cause_of_a_failing_check():
    inputs = X.numpy().astype(np.float32)
    result = parity.check(Ours(), Model(reverse, 0.3).float(), inputs, steps=1, tiers=("float64",))
    assert result.blame and result.blame.cause == "gradient-factor"
