"""What a loss compares with what, and of what it takes the mean: other conventions are named, other numbers are not."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from parity.blame.diagnosis import explain_loss

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(2, 5, 7))
CLASSES = np.where(np.arange(7) < RANDOM.integers(2, 7, size=(5, 1)), RANDOM.integers(1, 4, size=(5, 7)), 0)
SCORES = RANDOM.normal(size=(5, 4, 7))
WEIGHT = torch.tensor([3.0, 0.5, 2.0, 8.0, 1.5, 4.0, 0.25], dtype=torch.float64)


def over_all(x, y):
    each, mask = (x - y).square().flatten(), (y > -0.5).double().flatten()
    return (each * mask).sum() / mask.sum().clamp(min=1)


def over_rows(x, y):
    mask = (y > -0.5).double()
    return (((x - y).square() * mask).sum(-1) / mask.sum(-1)).mean()


def of_rows(x, y):
    each = F.cross_entropy(x, y, ignore_index=0, reduction="none")
    return (each.sum(1) / (y != 0).sum(1)).mean()


def positives(pos_weight=WEIGHT, **options):
    return lambda x, y: F.binary_cross_entropy_with_logits(x, (y > 0).double(), pos_weight=pos_weight, **options)


def negatives(x, y):
    return torch.where(y > 0, 1.0, WEIGHT) * F.binary_cross_entropy_with_logits(x, (y > 0).double(), reduction="none")


def velocity(x, y):
    return F.mse_loss(x, 0.8 * y - 0.6 * y.flip(0))


LOSSES = {
    "all": ("mean-of-means", over_all, over_rows, Y),
    "rows": ("over-batch", over_rows, over_all, Y),
    "classes": ("mean-of-means", lambda x, y: F.cross_entropy(x, y, ignore_index=0), of_rows, CLASSES),
    "reciprocal": ("pos-weight", positives(), positives(1 / WEIGHT), Y),
    "negatives": ("pos-weight", positives(), lambda x, y: negatives(x, y).mean(), Y),
    "both": ("pos-weight", positives(), positives(None, weight=WEIGHT), Y),
    "shares": ("shares-exchanged", velocity, lambda x, y: F.mse_loss(x, 0.8 * y.flip(0) - 0.6 * y), Y),
    "noise": ("target", velocity, F.mse_loss, Y),
}


@pytest.mark.parametrize("of", LOSSES)
def test_a_convention_of_losses_is_named(of):
    name, loss, other, targets = LOSSES[of]
    outputs = SCORES if targets is CLASSES else X
    x = torch.tensor(outputs, requires_grad=True)
    value = other(x, torch.tensor(targets))
    (gradient,) = torch.autograd.grad(value, x)
    cause = explain_loss(loss, outputs, targets, value.detach().numpy(), gradient.numpy())
    assert cause and cause.name == name, cause


@pytest.mark.parametrize("of", LOSSES)
def test_control_other_numbers_are_not_named(of):
    _, loss, _, targets = LOSSES[of]
    outputs = SCORES if targets is CLASSES else X
    gradient = np.random.default_rng(1).normal(size=outputs.shape)
    assert explain_loss(loss, outputs, targets, np.float64(0.3), gradient) is None
