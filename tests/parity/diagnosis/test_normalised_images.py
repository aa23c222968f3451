"""Channels that are normalised together, and the parts of a modulation in another order."""

import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer

IMAGES = normal(2, 6, 4, 5)


class Modulated(nn.Module):
    def __init__(self, order=(0, 1, 2, 3, 4, 5), norm=F.instance_norm):
        super().__init__()
        self.parts, self.order, self.norm = nn.Linear(6, 36), order, norm

    def forward(self, x):
        parts = self.parts(x.mean((2, 3))).chunk(6, dim=1)
        a, b, c, d, e, f = (parts[i][:, :, None, None] for i in self.order)
        x = x + c * (self.norm(x) * (1 + b) + a).sin()
        return x + f * (self.norm(x) * (1 + e) + d).cos()


def cause_of(flax):
    right = seeded(Modulated())
    flax.double().load_state_dict(right.state_dict())
    named = explain_layer(right, (IMAGES,), {}, flax(torch.as_tensor(IMAGES)).detach().numpy(), training=False)
    return named and (named.name, named.text)


@pytest.mark.parametrize(
    ("flax", "cause", "words"),
    [
        (Modulated((1, 0, 2, 4, 3, 5)), "projection-order", "(1, 0, 2) of every three"),
        (Modulated(norm=lambda x: F.group_norm(x, 1)), "group-count", "in 1 group, PyTorch each by itself"),
        (Modulated(norm=lambda x: F.group_norm(x, 3)), "group-count", "in 3 groups"),
    ],
)
def test_another_convention_is_named(flax, cause, words):
    named = cause_of(flax)
    assert named is not None and named[0] == cause and words in named[1], named


def test_control_another_norm_has_none_of_these_causes():
    named = cause_of(Modulated(norm=lambda x: F.normalize(x, dim=2)))
    assert named is None or named[0] not in ("projection-order", "group-count")
