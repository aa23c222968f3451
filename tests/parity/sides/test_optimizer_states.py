"""Optax's states as people chain them: each field is the slot of PyTorch's that holds the same numbers."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

import parity


class Ours(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(5, 7, rngs=rngs)
        self.second = nnx.Linear(7, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.tanh(self.first(x)))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(5, 7)
        self.second = torch.nn.Linear(7, 3)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


INPUTS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
rmsprop = partial(optax.rmsprop, 1e-2, decay=0.99, eps_in_sqrt=False)
adam = partial(optax.adam, 1e-2)


def check(transformation, make, tiers=("float64",), steps=3):
    return parity.check(
        Ours(), Theirs(), INPUTS, optimizer=(transformation, make), steps=steps, layers=False, tiers=tiers
    )


def matrices(tree):
    return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "vector", tree)


def in_groups(make, matrix, vector, *args):
    def grouped(parameters):
        parameters = list(parameters)
        groups = [(matrix, [p for p in parameters if p.ndim > 1]), (vector, [p for p in parameters if p.ndim < 2])]
        return make([{"params": members} | options for options, members in groups], *args)

    return grouped


RIGHT = {
    "a trace after the rate": (rmsprop(momentum=0.9), lambda p: RMSprop(p, 1e-2, momentum=0.9)),
    "the same, centred": (
        rmsprop(momentum=0.9, centered=True), lambda p: RMSprop(p, 1e-2, momentum=0.9, centered=True)),
    "a rate before the trace": (
        optax.chain(optax.scale(-0.1), optax.trace(0.9)), lambda p: SGD(p, 0.1, momentum=0.9)),
    "a constant before the trace": (
        optax.chain(optax.scale(0.5), optax.trace(0.9), optax.scale(-0.2)), lambda p: SGD(p, 0.1, momentum=0.9)),
    "groups of two transformations": (
        optax.partition({"matrix": adam(), "vector": optax.adam(0.1)}, matrices),
        in_groups(Adam, {}, {"lr": 0.1}, 1e-2)),
    "momentum of one group": (
        optax.partition({"matrix": optax.sgd(0.1, 0.9), "vector": optax.sgd(0.1)}, matrices),
        in_groups(SGD, {"momentum": 0.9}, {}, 0.1)),
    "a mask": (
        optax.adamw(1e-2, weight_decay=0.1, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
        in_groups(AdamW, {"weight_decay": 0.1}, {"weight_decay": 0.0}, 1e-2)),
    "one vector of all": (optax.flatten(adam()), lambda p: Adam(p, 1e-2)),
    "what is not a number": (optax.chain(optax.zero_nans(), adam()), lambda p: Adam(p, 1e-2)),
    "finite alone": (optax.apply_if_finite(adam(), 3), lambda p: Adam(p, 1e-2)),
    "gathered": (optax.MultiSteps(adam(), 1).gradient_transformation(), lambda p: Adam(p, 1e-2)),
    "an infinite norm": (optax.adamax(1e-2), lambda p: torch.optim.Adamax(p, 1e-2)),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_the_same_optimiser_passes_however_optax_keeps_its_state(case):
    result = check(*RIGHT[case])
    assert result.status == "pass", [str(row.key) for row in result.rows["float64"] if not row.passed]


WRONG = {
    "momentum": (rmsprop(momentum=0.8), lambda p: RMSprop(p, 1e-2, momentum=0.9)),
    "momentum before the trace": (
        optax.chain(optax.scale(-0.1), optax.trace(0.8)), lambda p: SGD(p, 0.1, momentum=0.9)),
    "the second moment's decay": (adam(b2=0.99), lambda p: Adam(p, 1e-2)),
    "no momentum": (optax.sgd(0.1), lambda p: SGD(p, 0.1, momentum=0.9)),
    "a rate that changes under the trace": (
        optax.rmsprop(lambda step: 1e-2 / (1 + step), decay=0.99, momentum=0.9, eps_in_sqrt=False),
        lambda p: RMSprop(p, 1e-2, momentum=0.9)),
    "no largest moment": (adam(), lambda p: Adam(p, 1e-2, amsgrad=True)),
    "another method": (optax.nadam(1e-2), lambda p: NAdam(p, 1e-2)),
    "factors": (optax.adafactor(1e-2), lambda p: torch.optim.Adafactor(p, 1e-2)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_another_optimiser_fails_and_nothing_crashes(case):
    result = check(*WRONG[case])
    assert result.status == "fail"
    assert result.blame.layer == "optimizer"


@pytest.mark.slow
@pytest.mark.parametrize("momentum, status", [(0.9, "pass"), (0.8, "fail")])
def test_a_scheduled_rate_is_the_unit_of_a_trace_at_each_step(momentum, status):
    """The trace sums what each step's own rate has scaled; with a rate that stays, that is PyTorch's buffer."""
    rate = optax.constant_schedule(1e-2)
    transformation = optax.rmsprop(rate, decay=0.99, momentum=momentum, eps_in_sqrt=False)
    result = check(transformation, lambda p: RMSprop(p, 1e-2, momentum=0.9))
    assert result.status == status


def test_what_has_no_counterpart_is_left_out_and_said():
    result = check(optax.chain(adam(), optax.ema(0.0)), lambda p: Adam(p, 1e-2))
    assert result.status == "pass"
    assert any("Optax's ema (EmaState)" in note for note in result.notes)


class Counted(torch.optim.Optimizer):
    """Adam as people write it, with a counter that is a number of Python's."""

    def __init__(self, parameters, lr, correct=True):
        super().__init__(parameters, {"lr": lr, "correct": correct})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                slots = self.state[p]
                if not slots:
                    slots |= {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
                slots["step"] += 1
                m = slots["exp_avg"].lerp_(p.grad, 0.1)
                v = slots["exp_avg_sq"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                first, second = (1 - beta ** slots["step"] if group["correct"] else 1.0 for beta in (0.9, 0.999))
                p.sub_(group["lr"] * (m / first) / ((v / second).sqrt() + 1e-8))


@pytest.mark.slow
@pytest.mark.parametrize("correct, status", [(True, "pass"), (False, "fail")])
def test_a_counter_of_python_keeps_its_digits(correct, status):
    assert check(adam(), lambda p: Counted(p, 1e-2, correct)).status == status


@pytest.mark.slow
@pytest.mark.parametrize("hyperparameters", [False, True])
def test_adam_in_float32_may_take_its_correction_in_float32(hyperparameters):
    transformation = optax.inject_hyperparams(optax.adam)(learning_rate=1e-2) if hyperparameters else adam()
    result = check(transformation, lambda p: Adam(p, 1e-2), tiers=("float64", "float32"))
    assert result.status == "pass"
