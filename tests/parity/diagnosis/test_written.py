"""Mistakes in functions that people write themselves: slices, tables, running products, norms, products of tensors."""

import numpy as np
import pytest
import torch
from planting import normal, seeded
from torch import nn

from parity.blame.diagnosis import explain_layer, explain_tensor

X = normal(4, 6, 5)
INDEX = torch.arange(6).flip(0) // 2
BATCH = torch.tensor([0, 0, 1, 2])
EPS = 1e-3


class Written(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body
        self.table = nn.Parameter(torch.zeros(5, 3))
        self.gate = nn.Linear(5, 5)

    def forward(self, x):
        return self.body(self, x)


def gated(turn=lambda g: g):
    def body(m, x):
        gate = turn(m.gate(x).sigmoid())
        return (1 - gate) * x + gate * x.sin()

    return body


def standard(root):
    return lambda m, x: x / root(x.var(1, unbiased=False, keepdim=True))


def per_node(reduction):
    index = BATCH[:, None, None].expand(4, 6, 5)
    return lambda m, x: torch.zeros(3, 6, 5, dtype=x.dtype).scatter_reduce(0, index, x, reduction, include_self=False)


BODIES = [
    ("running-direction", lambda m, x: x.cumsum(1), lambda m, x: x.flip(1).cumsum(1).flip(1)),
    ("running-exclusive", lambda m, x: x.cumsum(1), lambda m, x: x.cumsum(1) - x),
    ("slice", lambda m, x: x[:, 0].cumprod(1)[:, :-1], lambda m, x: x[:, 0].cumprod(1)[:, 1:]),
    ("slice", lambda m, x: x[:, 4:].mean(1), lambda m, x: x[:, 1:].mean(1)),
    ("index-reversed", lambda m, x: m.table[INDEX[:4]], lambda m, x: m.table[4 - INDEX[:4]]),
    ("index-offset", lambda m, x: m.table[INDEX[:4]], lambda m, x: m.table[INDEX[:4] + 1]),
    ("root-of-sum", lambda m, x: (x**2).sum(-1), lambda m, x: (x**2).sum(-1).sqrt()),
    ("root-missing", lambda m, x: torch.norm(x, dim=-1), lambda m, x: (x**2).sum(-1)),
    ("power", lambda m, x: x.abs().pow(-0.5), lambda m, x: 1 / x.abs()),
    ("factor-missing", lambda m, x: x.sin() * x.exp(), lambda m, x: x.exp()),
    ("wiring", lambda m, x: x * m.gate(x.tanh()), lambda m, x: x.tanh() * m.gate(x.tanh())),
    ("gate-complement", gated(), gated(lambda g: 1 - g)),
    ("axis", lambda m, x: x * x.square().sum((1, 2), keepdim=True), lambda m, x: x * x.square().sum((0, 2), True)),
    ("eps-outside", standard(lambda v: (v + EPS).sqrt()), standard(lambda v: v.sqrt() + EPS)),
    ("max-for-sum", lambda m, x: torch.zeros(3, 6, 5).double().index_add(0, BATCH, x), per_node("amax")),
    ("mean-for-sum", lambda m, x: torch.zeros(3, 6, 5).double().index_add_(0, BATCH, x), per_node("mean")),
    (
        "concatenation-order",
        lambda m, x: torch.cat([x[:, 0], x[:, 1], x[:, 2], x[:, 3]], -1),
        lambda m, x: torch.cat([x[:, 0], x[:, 2], x[:, 1], x[:, 3]], -1),
    ),
]


def outcome(body, other):
    module = seeded(Written(body))
    with torch.no_grad():
        flax = seeded(Written(other))(torch.as_tensor(X)).numpy()
    return explain_layer(module, (X,), {}, flax, training=False)


@pytest.mark.parametrize("cause, body, other", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_a_mistake_in_a_function_is_named(cause, body, other):
    named = outcome(body, other)
    assert named is not None and named.name == cause, named


def test_control_of_other_numbers_nothing_is_said():
    assert outcome(BODIES[0][1], lambda m, x: x.cumsum(1) + 0.1 * x.cos()) is None


def test_indices_that_are_moved_are_told_as_such():
    indices = np.array([[0, 5], [3, 6], [1, 8]])
    cause = explain_tensor(indices.astype(float), indices - np.array([0.0, 1.0]))
    assert cause and cause.name == "offset" and "+0, -1 along axis 1" in cause.text, cause
