"""Two models that are handed over in evaluation mode are compared in it, in their steps, too."""

import functools

import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from parity.models.evaluation import both_evaluate, staying

X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


class Fixed(linen.Module):
    """Has its mode as an attribute, which nobody else can change."""

    epsilon: float = 1e-5
    train: bool = False

    @linen.compact
    def __call__(self, x):
        norm = linen.BatchNorm(use_running_average=not self.train, epsilon=self.epsilon)
        return linen.Dropout(0.5, deterministic=not self.train)(norm(linen.Dense(5)(x)))


class Norm(nnx.Module):
    def __init__(self, still=False):
        self.first = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(5, use_running_average=still, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.norm(self.first(x))


class Told(Norm):
    def __call__(self, x, train: bool = False):
        return self.norm(self.first(x), use_running_average=not train)


def theirs(training=False):
    layers = torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Dropout(0.2)
    return torch.nn.Sequential(*layers).train(training)


@functools.cache
def checked(make, training=False):
    return parity.check(make(), theirs(training), X, steps=2, tiers=("float64",))


def test_a_linen_module_that_cannot_train_is_a_port_of_one_that_is_not_to():
    result = checked(Fixed)
    assert result.status == "pass", result.blame
    assert any("evaluation mode" in note for note in result.notes)


def test_an_nnx_module_is_left_in_evaluation_mode():
    assert checked(functools.partial(Norm, still=True)).status == "pass"


def test_control_a_mistake_shows_in_evaluation_mode():
    result = checked(functools.partial(Fixed, epsilon=1e-3))
    assert result.blame is not None and (result.blame.layer, result.blame.cause) == ("1", "eps")


@pytest.mark.parametrize("make", [Fixed, Norm])
def test_control_where_one_of_them_trains_both_are_to(make):
    result = checked(make, training=make is Fixed)
    assert result.status == "fail"
    assert not any("stay in it" in note for note in result.notes)


@pytest.mark.parametrize(
    "flax, evaluates",
    [
        (Fixed(), True),
        (Fixed(train=True), False),
        (Norm(), False),
        (Norm(still=True), True),
        (Told(), True),
        (nnx.Linear(4, 5, rngs=nnx.Rngs(0)), True),
    ],
)
def test_the_mode_in_which_models_are_handed_over(flax, evaluates):
    assert both_evaluate(flax, theirs()) == evaluates
    assert not both_evaluate(flax, theirs(training=True))


def test_dropout_that_draws_in_evaluation_is_compared():
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Dropout(0.5)).eval()
    assert both_evaluate(nnx.Linear(4, 5, rngs=nnx.Rngs(0)), model)  # control
    model[1].train()
    result = parity.check(nnx.Linear(4, 5, rngs=nnx.Rngs(0)), model, X, steps=1, tiers=("float64",))
    assert result.status == "fail"
    assert not any("stay in it" in note for note in result.notes)


def test_a_copy_stays_in_evaluation_mode_and_the_model_does_not():
    model = theirs()
    still = staying(model)
    assert not any(part.training for part in still.train().modules())
    assert all(part.training for part in model.train().modules())
