"""Functions: another convention in a call of a function, within a module that somebody wrote, is named."""

import math

import numpy as np
import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer, explain_loss

IMAGE = (2, 4, 8, 6)
SEQUENCE = (2, 5, 8)


class Written(nn.Module):
    """A module whose body is a function of its own."""

    def __init__(self, body, **parts):
        super().__init__()
        self.body = body
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.body(self, x)


def attention(causal=True, order=(0, 1, 2), scale=0.5, rotate=None, heads=2):
    def body(m, x):
        parts = m.qkv(x).chunk(3, -1)
        query, key, value = (parts[i].unflatten(-1, (heads, -1)).transpose(1, 2) for i in order)
        if rotate:
            query = rotate(query)
            key = rotate(key)
        scores = query @ key.transpose(-1, -2) * scale
        if causal:
            scores = scores.masked_fill(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1), -math.inf)
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)

    return body


def angles(x):
    return torch.outer(torch.arange(x.shape[2]).double(), 10.0 ** -torch.arange(x.shape[3] // 2).double())


def halves(x):
    angle = torch.cat([angles(x)] * 2, -1)
    first, second = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


def neighbours(x):
    angle = angles(x)
    first = x[..., ::2]
    second = x[..., 1::2]
    rotated = [first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()]
    return torch.stack(rotated, -1).flatten(-2)


def norm(eps=1e-5, correction=1):
    return lambda m, x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=correction, keepdim=True) + eps).sqrt()


def twice(**options):
    return lambda m, x: F.gelu(F.gelu(x, **options) - 0.1, **options)


def resized(**options):
    return lambda m, x: F.interpolate(x, **options)


def pooled(x, dim):
    return {"mean": lambda: x.mean(dim), "sum": lambda: x.sum(dim), "max": lambda: x.max(dim).values}


def smoothed(**options):
    return resized(size=(4, 3), mode="bilinear", **options)


def pooled_same(m, x):
    """Max pooling as 'SAME' pads it: uneven at the end."""
    return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)


QKV = {"qkv": nn.Linear(8, 24)}
# cause, PyTorch's body, Flax's, the shape of the input, the parts of both
BODIES = [
    ("gelu-tanh", twice(), twice(approximate="tanh"), SEQUENCE, {}),
    ("gelu-erf", twice(approximate="tanh"), twice(), SEQUENCE, {}),
    ("antialias", smoothed(), smoothed(antialias=True), IMAGE, {}),
    (
        "align-corners",
        resized(scale_factor=2, mode="bilinear", align_corners=True),
        resized(scale_factor=2, mode="bilinear"),
        IMAGE,
        {},
    ),
    ("same-padding", lambda m, x: F.max_pool2d(x, 3, 2, 1), pooled_same, IMAGE, {}),
    ("biased-variance", norm(), norm(correction=0), SEQUENCE, {}),
    ("eps", norm(), norm(eps=1e-3), SEQUENCE, {}),
    ("sum-for-mean", lambda m, x: pooled(x, 1)["mean"](), lambda m, x: pooled(x, 1)["sum"](), SEQUENCE, {}),
    ("mean-for-sum", lambda m, x: x.square().sum(), lambda m, x: x.square().sum((1, 2)).mean(), SEQUENCE, {}),
    ("sum-for-mean", lambda m, x: x.square().mean(), lambda m, x: x.square().mean(2).mean(1).sum(), SEQUENCE, {}),
    ("mean-for-max", lambda m, x: pooled(x, 1)["max"](), lambda m, x: pooled(x, 1)["mean"](), SEQUENCE, {}),
    ("index", lambda m, x: x[:, 0], lambda m, x: x[:, -1], SEQUENCE, {}),
    ("causal-mask", attention(), attention(causal=False), SEQUENCE, QKV),
    ("projection-order", attention(), attention(order=(1, 0, 2)), SEQUENCE, QKV),
    ("factor-missing", attention(), attention(scale=1.0), SEQUENCE, QKV),
    ("rope-pairs", attention(rotate=halves), attention(rotate=neighbours), SEQUENCE, QKV),
    ("rope-pairs", attention(rotate=neighbours), attention(rotate=halves), SEQUENCE, QKV),
    ("mask-missing", lambda m, x: (x * (x > 0)).sum(1), lambda m, x: x.sum(1), SEQUENCE, {}),
]  # fmt: skip


def outcome(body, other, shape, parts):
    module = seeded(Written(body, **parts))
    x = np.abs(normal(*shape)) if other is pooled_same else normal(*shape)  # zeros as padding are below all others
    with torch.no_grad():
        flax = Written(other, **parts).double()(torch.as_tensor(x)).numpy()
    return explain_layer(module, (x,), {}, flax, training=False)


@pytest.mark.parametrize("cause, body, other, shape, parts", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_another_convention_in_a_function_is_named(cause, body, other, shape, parts):
    named = outcome(body, other, shape, parts)
    assert named is not None and named.name == cause, named


def test_control_the_same_function_has_no_cause():
    assert outcome(BODIES[0][1], BODIES[0][1], SEQUENCE, {}) is None


def test_control_what_no_alternative_computes_is_not_named_after_a_function():
    named = outcome(twice(), lambda m, x: F.gelu(F.gelu(x) - 0.1).sin() * x.abs(), SEQUENCE, {})
    assert named is None


def test_control_one_number_is_no_proof_of_a_constant_that_fits_it():
    named = outcome(lambda m, x: torch.sigmoid(x).sum(), lambda m, x: torch.sigmoid(x).square().sum(), SEQUENCE, {})
    assert named is None or named.name != "slope", named


def test_the_innermost_submodule_is_told():
    class Outer(nn.Module):
        def __init__(self, slope):
            super().__init__()
            self.inner = Written(lambda m, x: F.leaky_relu(x, slope) + 1)

        def forward(self, x):
            return self.inner(x) * 2

    x = normal(*SEQUENCE)
    flax = Outer(0.2)(torch.as_tensor(x)).numpy()
    named = explain_layer(Outer(0.01), (x,), {}, flax, training=False)
    assert named is not None and (named.name, named.part) == ("leaky-slope", "inner")


WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)


def weighted(x, y):
    return F.cross_entropy(x, y, weight=WEIGHTS, label_smoothing=0.1)


LOSSES = [
    ("class-weights", lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1)),
    ("class-weights+label-smoothing", F.cross_entropy),
    ("label-smoothing", lambda x, y: F.cross_entropy(x, y, weight=WEIGHTS)),
    ("class-weights", lambda x, y: F.cross_entropy(x, y, WEIGHTS, reduction="none", label_smoothing=0.1).mean()),
]


@pytest.mark.parametrize("cause, other", LOSSES)
def test_options_of_a_loss_that_is_a_function_are_named(cause, other):
    x = torch.tensor(normal(7, 3), requires_grad=True)
    y = torch.arange(7) % 3
    value = other(x, y)
    (gradient,) = torch.autograd.grad(value, x)
    named = explain_loss(weighted, x.detach().numpy(), y.numpy(), float(value.detach()), gradient.numpy())
    assert named is not None and named.name == cause
