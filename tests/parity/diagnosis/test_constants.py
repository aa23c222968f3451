"""Activations of another constant, softmaxes of the other axis, equal maxima: named where all is explained."""

import copy

import numpy as np
import pytest
import torch
from planting import MHA, named, normal, of, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer, explain_tensor
from parity.blame.diagnosis.cause import NOISE

ACTIVATIONS = [
    (nn.ReLU(), lambda x: F.softplus(x, beta=50, threshold=1e9), "softplus of beta=50"),
    (nn.ReLU(), lambda x: F.leaky_relu(x, 0.07), "a leaky ReLU of slope 0.07"),
    (nn.LeakyReLU(), lambda x: F.leaky_relu(x, 0.07), "a leaky ReLU of slope 0.07"),
    (nn.ELU(), lambda x: F.elu(x, 0.7), "ELU of alpha=0.7"),
    (nn.SiLU(), lambda x: x * torch.sigmoid(1.5 * x), "x * sigmoid(1.5 x)"),
    (nn.Softshrink(), lambda x: F.softshrink(x, 0.4), "the soft shrinkage by 0.4"),
    (nn.Softshrink(), F.hardshrink, "the hard shrinkage by 0.5"),
    (nn.ReLU(), lambda x: F.relu(x) ** 2, "the square of ReLU"),
]


@pytest.mark.parametrize(("module", "function", "text"), ACTIVATIONS)
def test_the_constant_of_an_activation_is_fitted(module, function, text):
    x = normal(9, 7)
    cause = named(module, x, function(torch.tensor(x)).numpy())
    assert cause is not None and text in cause.text, cause


def test_control_no_constant_is_told_that_leaves_a_rest():
    """Most of the gap is a slope's, and one number is another's."""
    x = normal(9, 7)
    y = F.leaky_relu(torch.tensor(x), 0.07).numpy()
    y[3, 3] += 0.01
    cause = named(nn.ReLU(), x, y)
    assert cause is None or cause.name != "leaky-slope", cause


def test_control_no_constant_is_told_where_any_would_do():
    """The rectifier behind hides what softplus' beta would make of numbers far below zero."""

    class Sharp(nn.Module):
        def forward(self, x):
            return torch.maximum(F.elu(x - 50), torch.tanh(x) - 0.5)

    x = normal(9, 7)
    cause = named(Sharp(), x, np.tanh(x) - 0.6)
    assert cause is None or cause.name not in ("elu-alpha", "softplus", "leaky-slope"), cause


def over_queries(module, x, mask=None):
    q, k, v = (
        F.linear(x, w, b).unflatten(-1, (2, 3)).transpose(1, 2)
        for w, b in zip(module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3))
    )
    scores = q @ k.mT / 3**0.5
    scores = scores if mask is None else scores.masked_fill(mask, -torch.inf)
    return module.out_proj((scores.softmax(-2) @ v).transpose(1, 2).flatten(2)).detach().numpy()


@pytest.mark.parametrize("masked", [False, True])
def test_a_softmax_over_the_queries_is_named(masked):
    module = seeded(MHA(6, 2, batch_first=True))
    x = normal(2, 5, 6)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if masked else None
    flax = over_queries(module, torch.tensor(x), mask)
    more = {"kwargs": {"attn_mask": mask, "need_weights": False}}
    cause = named(module, (x, x, x), flax, **more)
    assert cause is not None and cause.name == "softmax-axis", cause
    flax[0, 0, 0] += 0.01  # control
    cause = named(module, (x, x, x), flax, **more)
    assert cause is None or cause.name != "softmax-axis", cause


def test_a_softmax_over_the_queries_is_named_where_the_model_calls_the_function():
    class Attending(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, 2 * x, 3 * x, is_causal=True)

    x = torch.tensor(normal(2, 5, 6))
    scores = (x @ (2 * x).mT / 6**0.5).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    cause = named(Attending(), x.numpy(), (scores.softmax(-2) @ (3 * x)).numpy())
    assert cause is not None and cause.name == "softmax-axis", cause


def last_maximum(x, size, stride, padding):
    x = F.pad(x, (padding,) * 4, value=-torch.inf)
    windows = x.unfold(2, size, stride).unfold(3, size, stride).flatten(4).flip(-1)
    return windows.gather(-1, windows.argmax(-1, keepdim=True)).squeeze(-1)


RULES = {
    "to the last": lambda x: last_maximum(x, 3, 2, 1),
    "among equal": lambda x: F.pad(x, (1,) * 4, value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2)),
}


@pytest.mark.parametrize("rule", RULES)
def test_where_the_gradient_of_equal_maxima_goes_is_named(rule):
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 8)).astype(float)
    module = nn.MaxPool2d(3, 2, 1)
    back = normal(2, 3, 4, 4)
    given = torch.tensor(x, requires_grad=True)
    output = RULES[rule](given)
    (grad,) = torch.autograd.grad(output, given, torch.tensor(back))
    grads = {"input": grad.numpy()}
    assert np.array_equal(output.detach().numpy(), of(module, x))
    more = {"training": True, "cotangent": back}
    cause = explain_layer(module, (x,), {}, output.detach().numpy(), flax_grads=grads, **more)
    assert cause is not None and cause.name == "tie-rule" and rule in cause.text, cause
    grads["input"][0, 0] *= 1.5  # control
    cause = explain_layer(module, (x,), {}, output.detach().numpy(), flax_grads=grads, **more)
    assert cause is None or cause.name != "tie-rule", cause


def outside(x, axes, eps, shape):
    std = x.std(axes, correction=0, keepdim=True) + eps
    return ((x - x.mean(axes, keepdim=True)) / std).reshape(shape)


@pytest.mark.parametrize("module", [nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.BatchNorm2d(4)])
def test_eps_outside_of_the_root_is_named_in_every_norm(module):
    module = seeded(module)
    x = torch.tensor(normal(3, 4, 5, 6))
    groups = {nn.InstanceNorm2d: 4, nn.GroupNorm: 2}.get(type(module))
    rows, axes = (x.reshape(3, groups, -1), -1) if groups else (x, (0, 2, 3))
    y = outside(rows, axes, 1e-5, x.shape)
    flax = (y * module.weight.reshape(1, -1, 1, 1) + module.bias.reshape(1, -1, 1, 1)).detach().numpy()
    cause = named(module, x.numpy(), flax, training=True)
    assert cause is not None and cause.name == "eps-outside", cause
    cause = named(module, x.numpy(), flax * 1.001, training=True)  # control
    assert cause is None or cause.name != "eps-outside", cause


def test_other_features_of_batch_normalisation_are_named():
    module = seeded(nn.BatchNorm1d(5))
    x = normal(4, 5, 5)
    turned = copy.deepcopy(module).train()
    flax = turned(torch.tensor(x).transpose(1, 2)).transpose(1, 2).detach().numpy()
    buffers = {name: getattr(turned, name).numpy() for name in ("running_mean", "running_var")}
    cause = named(module, x, flax, training=True, flax_buffers=buffers)
    assert cause is not None and cause.name == "norm-axes", cause
    biased = module.running_var * 0.9 + (turned.running_var - module.running_var * 0.9) * 19 / 20
    both = named(module, x, flax, training=True, flax_buffers=buffers | {"running_var": biased.numpy()})
    assert both is not None and both.name == "biased-variance+norm-axes", both
    control = named(module, x, flax, training=True, flax_buffers=buffers | {"running_var": module.running_var.numpy()})
    assert control is None or "norm-axes" not in control.name, control


def test_a_gap_below_the_usual_noise_is_explained_where_it_is_known_to_be_none():
    module = nn.Softplus()
    x = 25 + np.abs(normal(9, 7))
    flax = np.logaddexp(x, 0)
    assert named(module, x, flax, noise=NOISE) is None
    cause = named(module, x, flax, noise=1e-17)
    assert cause is not None and cause.name == "softplus-threshold", cause


def test_a_bound_that_is_not_passed_is_not_told():
    """Of numbers that PyTorch stops at 0, the largest is no bound."""
    x = normal(9, 7)
    cause = explain_tensor(np.maximum(x, 0), np.where(x > 0, x, np.sin(x)))
    assert cause is not None and cause.name == "unclipped" and cause.text.endswith("clipped to 0"), cause
