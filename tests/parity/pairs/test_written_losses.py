"""Losses that people write by hand: reductions over the wrong axes, weights of classes, several outputs."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from torch.nn import functional as F

import parity
from parity.blame.diagnosis import explain_loss

IMAGES = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
TARGETS = np.random.default_rng(1).normal(size=(3, 2, 5, 4))


def dice(axes):
    def loss(outputs, targets):
        p = torch.sigmoid(outputs)
        t = torch.sigmoid(targets)
        both = p.sum(axes) + t.sum(axes)
        return 1 - ((2 * (p * t).sum(axes) + 1e-6) / (both + 1e-6)).mean()

    return loss


def focal(alpha):
    def loss(outputs, targets):
        y = (targets > 0).to(outputs.dtype)
        p = torch.sigmoid(outputs)
        right = p * y + (1 - p) * (1 - y)
        each = F.binary_cross_entropy_with_logits(outputs, y, reduction="none") * (1 - right) ** 2
        return ((alpha * y + (1 - alpha) * (1 - y)) * each).mean()

    return loss


@pytest.mark.parametrize(
    ("cause", "loss", "other"),
    [
        ("over-batch", dice((2, 3)), dice((0, 2, 3))),
        ("per-example", dice((0, 2, 3)), dice((2, 3))),
        ("class-weights", focal(0.25), focal(0.75)),
    ],
)
def test_a_loss_by_hand_is_named(cause, loss, other):
    outputs = torch.tensor(IMAGES, requires_grad=True)
    value = other(outputs, torch.tensor(TARGETS))
    (gradient,) = torch.autograd.grad(value, outputs)
    cause_of_it = explain_loss(loss, IMAGES, TARGETS, value.detach().numpy(), gradient.numpy())
    assert cause_of_it and cause_of_it.name == cause


def test_control_other_numbers_are_not_named():
    gradient = np.random.default_rng(2).normal(size=IMAGES.shape)
    assert explain_loss(focal(0.25), IMAGES, TARGETS, np.float64(0.3), gradient) is None


class Two(nnx.Module):
    """Gives the mean and the logarithm of the variance."""

    def __init__(self):
        self.mean = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.logvar = nnx.Linear(4, 3, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return {"mean": self.mean(x), "logvar": self.logvar(x)}


class TorchTwo(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.nn.Linear(4, 3)
        self.logvar = torch.nn.Linear(4, 3)

    def forward(self, x):
        return {"logvar": self.logvar(x), "mean": self.mean(x)}


def divergence(reduce):
    def loss(outputs, targets):
        each = 1 + outputs["logvar"] - outputs["mean"] ** 2 - jnp.exp(outputs["logvar"])
        return optax.l2_loss(outputs["mean"], targets[1]).mean() - 0.5 * reduce(each)

    return loss


def torch_divergence(outputs, targets):
    mean = outputs["mean"]
    each = 1 + outputs["logvar"] - mean.pow(2) - outputs["logvar"].exp()
    return F.mse_loss(mean, targets[1]) / 2 - 0.5 * torch.sum(each) / len(mean)


@pytest.mark.parametrize(
    ("reduce", "cause"), [(lambda x: x.sum(-1).mean(), None), (lambda x: x.mean(), "mean-for-sum")]
)
def test_a_loss_of_several_outputs_is_named(reduce, cause):
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    losses = divergence(reduce), torch_divergence
    result = parity.check(Two(), TorchTwo(), rows, loss=losses, steps=1, layers=False, tiers=("float64",))
    assert (result.blame and (result.blame.layer, result.blame.cause)) == (cause and ("loss", cause))
