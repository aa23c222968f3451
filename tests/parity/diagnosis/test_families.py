"""What people write with functions, in several fields: the cause is named, and not where it leaves a rest."""

import math

import numpy as np
import pytest
import torch
from planting import named, normal
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_tensor

RATES, STEP, FEED, SIGNAL = (
    torch.tensor(normal(*shape, seed=s)) for s, shape in enumerate([(4, 3), (4, 1), (4, 3), (2, 4, 8)])
)
A = torch.complex(-RATES.exp(), FEED)
DT = STEP.abs() + 0.1
STEPS = torch.arange(8)


def states(decay, gain, length=16):
    """A diagonal state space of these steps, convolved by Fourier transforms."""
    z = A * DT
    kernel = torch.einsum("hn,hnl->hl", gain(z), decay(z)).real
    product = torch.fft.rfft(SIGNAL, n=length) * torch.fft.rfft(kernel, n=length)
    return torch.fft.irfft(product, n=length)[..., :8]


def zero_order(z):
    return (z.exp() - 1) / A


def held(z):
    return (z.unsqueeze(-1) * STEPS).exp()


def euler(z):
    return (1 + z).unsqueeze(-1) ** STEPS


def bilinear(z):
    return ((1 + z / 2) / (1 - z / 2)).unsqueeze(-1) ** STEPS


def fed_by_euler(z):
    return DT + 0 * z


def fed_bilinear(z):
    return (DT + 0 * z) / (1 - z / 2)


X = torch.tensor(normal(3, 6, 4))
P = torch.tensor(np.stack([np.random.default_rng(n).permutation(6) for n in range(3)]))
GRAPH = torch.ones(6, 6, dtype=torch.float64).tril(2) + torch.eye(6)
GRAPH = GRAPH + GRAPH.T * torch.arange(6).remainder(2)
DEGREES = GRAPH.sum(-1, keepdim=True)
ROOTS = GRAPH.sum(-1) ** -0.5
IMAGE = torch.tensor(normal(2, 3, 5, 4))
THETA = torch.tensor(normal(2, 2, 3))
SLOPES = torch.tensor([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3])
EVEN = torch.tensor([2 ** (-8 * (n + 1) / 6) for n in range(6)], dtype=torch.float64)
ONE_HOT = F.one_hot(torch.arange(6) % 4, 4).double()
ENDS = torch.tensor([5, 2, 3])


def sampled(align=(False, False), mode="zeros"):
    grid = F.affine_grid(THETA, [2, 3, 5, 4], align_corners=align[0])
    return F.grid_sample(IMAGE, grid, align_corners=align[1], padding_mode=mode)


def modulated(order):
    parts = X.reshape(3, 24).chunk(6, -1)
    a, b, c, d, e, f = (parts[n] for n in order)
    return ((a * 2 + b) * c - d) * e + f


def symmetric():
    return ROOTS.unsqueeze(-1) * GRAPH * ROOTS.unsqueeze(-2) @ X


def by_roots():
    return GRAPH / DEGREES.sqrt() / DEGREES.mT.sqrt() @ X


def written(both):
    y = X * 0
    y[:, :2, :2] = X[:, :2, :2] * 2
    if both:
        y[:, -2:, :2] = X[:, -2:, :2] * 3
    return y


def filtered(length):
    """A convolution along an axis that is not the last, by Fourier transforms."""
    product = torch.fft.rfft(X, n=length, dim=1) * torch.fft.rfft(X[0].cos(), n=length, dim=0)
    return torch.fft.irfft(product, n=length, dim=1)[:, :6]


def spectrum(length):
    return torch.fft.rfft(X, n=length, dim=1).abs()[:, :4]


def middle(x):
    return x.sort(1).values[:, 2:4].mean(1)


def ascended(step):
    """The step of SAM: along the gradients of all tensors, divided by their norm."""
    parts = X[0], X[1, :2], X[2, :3, :2]
    norm = torch.stack([part.norm() for part in parts]).norm()
    return torch.cat([step(part, norm).flatten() for part in parts])


def of_all(part, norm, length=0.05):
    return part * (length / (norm + 1e-12))


def of_all_below(part, norm):
    return part * 0.05 / (norm + 1e-12)


# a cause, what PyTorch computes, what Flax does
MISTAKES = [
    ("median", lambda: X.median(1).values.exp(), lambda: middle(X).exp()),
    ("median", lambda: X.median(1, keepdim=True)[0] * X, lambda: X.sort(1).values[:, 3:4] * X),
    ("transform-length", lambda: spectrum(9), lambda: spectrum(6)),
    ("circular-convolution", lambda: filtered(12), lambda: filtered(6)),
    ("step-norm", lambda: ascended(of_all), lambda: ascended(lambda part, _: part * 0.05 / part.norm())),
    ("step-norm", lambda: ascended(of_all), lambda: ascended(lambda part, _: part * 0.05)),
    ("step-norm", lambda: ascended(of_all_below), lambda: ascended(lambda part, _: part * 0.05 / part.norm())),
    ("step-norm", lambda: ascended(of_all), lambda: ascended(lambda part, _: part.sign() * 0.05)),
    ("discretisation", lambda: states(held, zero_order), lambda: states(euler, fed_by_euler)),
    ("discretisation", lambda: states(held, zero_order), lambda: states(bilinear, fed_bilinear)),
    ("discretisation", lambda: states(bilinear, fed_bilinear), lambda: states(held, zero_order)),
    ("zero-order-hold", lambda: states(held, zero_order), lambda: states(held, fed_by_euler)),
    ("circular-convolution", lambda: states(held, zero_order), lambda: states(held, zero_order, 8)),
    ("circular-convolution", lambda: states(held, zero_order, 8), lambda: states(held, zero_order)),
    ("projection-order", lambda: modulated(range(6)), lambda: modulated((1, 0, 2, 4, 3, 5))),
    ("projection-order", lambda: modulated(range(6)), lambda: modulated((0, 5, 2, 3, 4, 1))),
    ("unclipped", lambda: torch.maximum(X.sin(), X.roll(1, 0).exp()), lambda: X.sin()),
    ("bound", lambda: torch.maximum(X, X.roll(1, 0).exp()), lambda: X.clamp(min=1)),
    (
        "inverse-permutation",
        lambda: X.gather(1, P[..., None].expand_as(X)),
        lambda: X.gather(1, P.argsort(1)[..., None].expand_as(X)),
    ),
    ("padding-counted", lambda: X.gather(1, ENDS.view(3, 1, 1).expand(3, 1, 4)).squeeze(1), lambda: X[:, -1]),
    ("sort-direction", lambda: X.argsort(1) * X, lambda: X.argsort(1, descending=True) * X),
    ("degree-normalisation", symmetric, lambda: GRAPH / DEGREES @ X),
    ("degree-normalisation", lambda: GRAPH / DEGREES @ X, by_roots),
    ("align-corners", sampled, lambda: sampled((True, False))),
    ("align-corners", sampled, lambda: sampled((False, True))),
    ("align-corners", sampled, lambda: sampled((True, True))),
    ("padding-mode", sampled, lambda: sampled(mode="border")),
    ("part-missing", lambda: written(True), lambda: written(False)),
    ("saturating-loss", lambda: F.softplus(-X).mean((1, 2)), lambda: -F.softplus(X).mean((1, 2))),
    ("saturating-loss", lambda: -X.sigmoid().log().mean((1, 2)), lambda: (1 - X.sigmoid()).log().mean((1, 2))),
    ("label-smoothing", lambda: ONE_HOT * (1 - 0.1) + 0.1 / 4, lambda: ONE_HOT * 0.9 + (1 - ONE_HOT) * 0.1 / 3),
    ("label-smoothing", lambda: ONE_HOT * (1 - 0.1) + 0.1 / 3, lambda: ONE_HOT * 0.9 + (1 - ONE_HOT) * 0.1 / 3),
    ("slopes", lambda: SLOPES[:, None, None] * X[0], lambda: EVEN[:, None, None] * X[0]),
    ("sign", lambda: X.exp() - SLOPES[:4] * X, lambda: X.exp() + SLOPES[:4] * X),
    ("scale", lambda: X.sin() + X.roll(1, 0), lambda: X.sin() * math.sqrt(6) + X.roll(1, 0)),
    ("shares-exchanged", lambda: X.sin() + 0.25 * X.cos(), lambda: 0.25 * X.sin() + X.cos()),
]  # fmt: skip


class Of(nn.Module):
    """A model that computes what a function does."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function()


@pytest.mark.parametrize(("cause", "theirs", "ours"), MISTAKES)
def test_what_explains_all_is_named(cause, theirs, ours):
    told = named(Of(theirs), X.numpy(), ours().numpy())
    assert told is not None and told.name == cause, told


@pytest.mark.parametrize(("cause", "theirs", "ours"), MISTAKES)
def test_control_what_leaves_a_rest_is_not_named(cause, theirs, ours):
    """The same mistake, and one number that is off by a little more."""
    flax = ours().numpy().copy()
    flax.flat[flax.size // 2] += 1e-3 * np.abs(flax).max()
    told = named(Of(theirs), X.numpy(), flax)
    assert told is None or told.name != cause, told


def test_places_that_are_counted_are_told_where_pytorch_leaves_out_the_padding():
    theirs = np.array([[2, 3, 4, 5], [2, 3, 1, 1]])
    cause = explain_tensor(theirs, np.array([[0, 1, 2, 3]] * 2))
    assert cause is not None and cause.name == "positions", cause
    control = explain_tensor(theirs, np.array([[0, 1, 2, 3], [0, 1, 3, 3]]))
    assert control is None or control.name != "positions", control


def test_a_source_that_a_call_does_not_fit_hides_no_other():
    """Of complex numbers some alternatives cannot be computed; the others of a quotient remain."""
    told = named(Of(lambda: (A / (DT + 1j)).real), X.numpy(), A.real.numpy())
    assert told is not None and told.name == "factor-missing", told
