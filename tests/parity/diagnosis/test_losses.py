"""Losses: another reduction, another option or another formula is named; unrelated numbers are not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch import nn

from d2l_jax.errors import InputError
from parity.blame.diagnosis import explain_loss

CROSS_ENTROPY = nn.CrossEntropyLoss()
MSE = nn.MSELoss()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def scores(square):
    rows, classes = (6, 6) if square else (7, 5)
    return normal(rows, classes), np.random.default_rng(1).integers(0, classes, rows)


def values(square):
    shape = (6, 6) if square else (7, 5)
    return normal(*shape), normal(*shape, seed=1)


def of_flax(loss, outputs, targets):
    value, gradient = jax.value_and_grad(loss)(jnp.asarray(outputs), jnp.asarray(targets))
    return np.asarray(value), np.asarray(gradient)


def named(loss, outputs, targets, flax):
    cause = explain_loss(loss, outputs, targets, *of_flax(flax, outputs, targets))
    return cause and cause.name


entropies = optax.softmax_cross_entropy_with_integer_labels


def smoothed(x, y):
    labels = optax.smooth_labels(jax.nn.one_hot(y, x.shape[1], dtype=x.dtype), 0.1)
    return optax.softmax_cross_entropy(x, labels).mean()


def picked(x, y):
    return jnp.take_along_axis(x, y[:, None], 1)[:, 0]


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize(
    "name, loss, flax",
    [
        ("sum", CROSS_ENTROPY, lambda x, y: entropies(x, y).sum()),
        ("sum-mean", nn.CrossEntropyLoss(reduction="sum"), lambda x, y: entropies(x, y).mean()),
        ("half", CROSS_ENTROPY, lambda x, y: entropies(x, y).mean() / 2),
        ("sign", CROSS_ENTROPY, lambda x, y: -entropies(x, y).mean()),
        ("label-smoothing", CROSS_ENTROPY, smoothed),
        ("label-smoothing", nn.CrossEntropyLoss(label_smoothing=0.1), lambda x, y: entropies(x, y).mean()),
        ("softmax-twice", CROSS_ENTROPY, lambda x, y: entropies(jax.nn.softmax(x), y).mean()),
        ("softmax-missing", CROSS_ENTROPY, lambda x, y: -picked(x, y).mean()),
        ("log-missing", CROSS_ENTROPY, lambda x, y: -picked(jax.nn.softmax(x), y).mean()),
        ("log-base", CROSS_ENTROPY, lambda x, y: entropies(x, y).mean() / np.log(2)),
        ("log-eps", CROSS_ENTROPY, lambda x, y: -jnp.log(picked(jax.nn.softmax(x), y) + 1e-6).mean()),
        ("softmax-axis", CROSS_ENTROPY, lambda x, y: -picked(jax.nn.log_softmax(x, 0), y).mean()),
    ],
)
def test_a_loss_of_classes_is_named(name, loss, flax, square):
    assert named(loss, *scores(square), flax) == name


def test_ignored_targets_count_in_flax():
    outputs, targets = scores(False)
    targets[[1, 4]] = 0

    def flax(x, y):
        return jnp.where(y != 0, entropies(x, y), 0).mean()

    assert named(nn.CrossEntropyLoss(ignore_index=0), outputs, targets, flax) == "ignored-counted"
    every = lambda x, y: entropies(x, y).mean()  # noqa: E731
    assert named(nn.CrossEntropyLoss(ignore_index=0), outputs, targets, every) == "ignore-index"


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize(
    "name, loss, flax",
    [
        ("half", MSE, lambda x, y: optax.l2_loss(x, y).mean()),
        ("double", lambda x, y: ((x - y) ** 2 / 2).mean(), lambda x, y: ((x - y) ** 2).mean()),
        ("sum", MSE, lambda x, y: ((x - y) ** 2).sum()),
        ("absolute", MSE, lambda x, y: jnp.abs(x - y).mean()),
        ("squared", nn.L1Loss(), lambda x, y: ((x - y) ** 2).mean()),
        ("root", MSE, lambda x, y: jnp.sqrt(((x - y) ** 2).mean())),
        ("huber", MSE, lambda x, y: optax.huber_loss(x, y).mean()),
        ("delta", nn.HuberLoss(), lambda x, y: optax.huber_loss(x, y, delta=0.5).mean()),
        ("scale", MSE, lambda x, y: 1.234 * ((x - y) ** 2).mean()),
        ("constant-term", MSE, lambda x, y: ((x - y) ** 2).mean() + 0.123),
    ],
)
def test_a_loss_of_values_is_named(name, loss, flax, square):
    assert named(loss, *values(square), flax) == name


def test_a_sum_per_row():
    outputs, targets = values(False)
    assert named(MSE, outputs, targets, lambda x, y: ((x - y) ** 2).sum(1).mean()) == "per-row"


def test_logits_for_probabilities():
    outputs = np.abs(np.tanh(normal(7, 5)))
    targets = np.random.default_rng(1).integers(0, 2, (7, 5)).astype(float)
    flax = lambda x, y: optax.sigmoid_binary_cross_entropy(x, y).mean()  # noqa: E731
    assert named(nn.BCELoss(), outputs, targets, flax) == "sigmoid-added"


def test_the_gradient_alone():
    outputs, targets = values(False)
    value, gradient = of_flax(lambda x, y: ((x - y) ** 2).mean(), outputs, targets)
    cause = explain_loss(MSE, outputs, targets, value, np.zeros_like(gradient))
    assert cause is not None and cause.name == "all-zeros"
    assert explain_loss(MSE, outputs, targets, value, gradient) is None


def test_the_value_alone():
    outputs, targets = values(False)
    cause = explain_loss(MSE, outputs, targets, float(((outputs - targets) ** 2).mean()) / 2)
    assert cause is not None and cause.name == "half"


@pytest.mark.parametrize("seed", range(10))
def test_unrelated_numbers_are_not_named(seed):
    for loss, (outputs, targets) in ((CROSS_ENTROPY, scores(seed % 2 == 0)), (MSE, values(seed % 2 == 0))):
        value = normal(seed=seed)
        gradient = normal(*outputs.shape, seed=seed + 50)
        assert explain_loss(loss, outputs, targets, value, gradient) is None
        assert explain_loss(loss, outputs, targets, float(value)) is None


def test_bad_calls_say_what_would_be_right():
    outputs, targets = values(False)
    with pytest.raises(InputError, match="gradient has shape"):
        explain_loss(MSE, outputs, targets, 1.0, outputs[:2])
    assert torch.is_grad_enabled()
