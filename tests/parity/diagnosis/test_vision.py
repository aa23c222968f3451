"""Mistakes of ports of vision models are named: paddings, dilations, pools, frequencies, layers that work in place."""

import math

import pytest
import torch
from planting import named, normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer, explain_loss

IMAGE = (2, 4, 8, 6)
SEQUENCE = (2, 5, 8)


class Written(nn.Module):
    """A module whose body is a function."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x)


def explained(body, other, shape=IMAGE):
    x = normal(*shape)
    with torch.no_grad():
        flax = other(torch.as_tensor(x)).numpy()
    return explain_layer(Written(body), (x,), {}, flax, training=False)


def activated(slope):
    """A function that changes its input in place, as most of PyTorch's vision models have them."""
    return lambda x: F.leaky_relu(x * 2, slope, inplace=True) + 1


def waves(factor):
    return lambda x: torch.cat([f(x * k * factor) for k in 2.0 ** torch.arange(2) for f in (torch.sin, torch.cos)], -1)


def written_waves(x):
    return torch.cat([f(x * k) for k in 2.0 ** torch.arange(2) for f in (torch.sin, torch.cos)], -1)


def standardised(unbiased):
    def body(x):
        variance, mean = torch.var_mean(x, dim=(1, 2), keepdim=True, unbiased=unbiased)
        return (x - mean) / torch.sqrt(variance + 1e-5)

    return body


def causal(pads, mode="constant"):
    return lambda x: F.pad(x, pads, mode) * 2


def shifted(by):
    """A window that is shifted, looked at and shifted back."""
    weights = torch.arange(6).double()
    return lambda x: torch.roll(torch.roll(x, (by, by), (2, 3)) * weights, (-by, -by), (2, 3))


def mixed(weight):
    return lambda x: x.sin() * weight + 1


BODIES = [
    ("leaky-slope", activated(0.2), activated(0.01), IMAGE),
    ("factor-pi", written_waves, waves(math.pi), SEQUENCE),
    ("unbiased-variance", standardised(False), standardised(True), IMAGE),
    ("biased-variance", standardised(True), standardised(False), IMAGE),
    ("causal-padding", causal((2, 0)), causal((0, 2)), SEQUENCE),
    ("padding-mode", causal((1, 1, 1, 1), "reflect"), causal((1, 1, 1, 1), "replicate"), IMAGE),
    ("roll-direction", shifted(-1), shifted(1), IMAGE),
    ("roll-missing", shifted(-1), shifted(0), IMAGE),
    ("complement", mixed(0.25), mixed(0.75), IMAGE),
]


@pytest.mark.parametrize("cause, body, other, shape", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_another_convention_in_a_function_is_named(cause, body, other, shape):
    cause_of = explained(body, other, shape)
    assert cause_of is not None and cause_of.name == cause, cause_of


@pytest.mark.parametrize("body, shape", [(body, shape) for _, body, _, shape in BODIES])
def test_control_the_same_function_has_no_cause(body, shape):
    assert explained(body, body, shape) is None


def test_a_dilation_that_is_missing_is_named_where_the_size_is_kept():
    theirs = seeded(nn.Conv1d(3, 4, 3, padding=2, dilation=2))
    x = normal(2, 3, 9)
    with torch.no_grad():
        flax = F.conv1d(torch.as_tensor(x), theirs.weight.double(), theirs.bias.double(), padding=1).numpy()
    cause = named(theirs, x, flax)
    assert cause is not None and cause.name == "dilation", cause
    assert "keeps the size" in cause.text


def test_an_adaptive_pool_of_volumes_is_named():
    x = normal(2, 3, 4, 5, 6)
    flax = F.adaptive_max_pool3d(torch.as_tensor(x), (2, 1, 1)).numpy()
    cause = named(nn.AdaptiveAvgPool3d((2, 1, 1)), x, flax)
    assert cause is not None and cause.name == "max-for-average", cause


def others(x, y):
    """Cross-entropy with the smoothing shared among the other classes."""
    classes = x.shape[1]
    labels = F.one_hot(y, classes).double() * (0.9 - 0.1 / (classes - 1)) + 0.1 / (classes - 1)
    return -(labels * F.log_softmax(x, 1)).sum(1).mean()


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(label_smoothing=0.1), lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1)]
)
def test_a_smoothing_shared_among_the_other_classes_is_named(loss):
    x = torch.tensor(normal(7, 4), requires_grad=True)
    y = torch.arange(7) % 4
    value = others(x, y)
    (gradient,) = torch.autograd.grad(value, x)
    cause = explain_loss(loss, x.detach().numpy(), y.numpy(), float(value.detach()), gradient.numpy())
    assert cause is not None and cause.name == "label-smoothing", cause
    assert "other 3 classes" in cause.text
